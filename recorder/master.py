"""Makes the stereo master of a call: two mono legs in, Ogg Opus out (left customer, right agent), hashed and sealed while it is written.

Blocking and single-threaded on purpose: it runs in the encoder process. Memory does not grow with the length of the call.
The same legs give the same sound byte for byte, so a repeated intake gives the same `content_sha256`. What is not sealed never touches a disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from recorder.activity import BLOCK_S, FRAME_MS, Activity, waveform
from recorder.analysis import Analysis, Waveform
from recorder.errors import BadLeg
from recorder.faults import LegMeasure, Side, judge
from recorder.sealing import Seal, SealingSink, Sink
from recorder.talk import figures
from recorder.wav import HEADER_BYTES, WavLayout, read_layout

BIT_RATE: Final = 24_000
WAVEFORM_POINTS: Final = 1000
"""Peaks kept for a side: as many as a screen has columns for."""

_LEAD_MS: Final = 40
"""Less than this is missing at every start and end, and is no matter."""

PAUSE_EDGE_MS: Final = 200
"""A pause is known to a fifth of a second: the engine's clock, and the time its orders take. So much around it is not judged, and so much within its ends may be heard."""

# voip keeps the two sides apart (-30 dB; "audio" only -15 dB at this rate); bitexact: no random serial number in the container.
_CODEC_OPTIONS: Final = {"application": "voip", "compression_level": "0", "frame_duration": "20"}
_CONTAINER_OPTIONS: Final = {"fflags": "+bitexact"}

Samples = NDArray[np.int16]
Stretches = Sequence[tuple[int, int]]
"""From and to, in ms of the recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """What was made. `bytes` 0: there was not one sample on either leg and no file was kept.

    `sha256` and `bytes` are the file's, `content_sha256` and `content_bytes` those of the sound in it; the same where it is not sealed.
    """

    sha256: bytes
    content_sha256: bytes
    bytes: int
    content_bytes: int
    duration_ms: int
    faults: list[dict[str, Any]]
    analysis: Analysis | None = None


class Leg:
    """One open leg, read block by block; past its end it gives silence. A missing leg is an empty one."""

    def __init__(self, side: Side, path: Path) -> None:
        self._side: Side = side
        self._file: BinaryIO | None = None
        self._layout: WavLayout | None = None
        self._left = 0
        self._lead = 0
        self.activity = Activity()
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            return
        try:
            head = self._file.read(HEADER_BYTES)
            self._layout = read_layout(head, os.fstat(self._file.fileno()).st_size)
            if self._layout is not None:
                self._file.seek(self._layout.offset)
                self._left = self._layout.frames
        except BaseException:
            self._file.close()
            raise

    @property
    def rate_hz(self) -> int | None:
        """Samples a second; None where there is no format to read."""
        return None if self._layout is None else self._layout.rate_hz

    @property
    def frames(self) -> int:
        """Samples in the leg."""
        return 0 if self._layout is None else self._layout.frames

    @property
    def closed(self) -> bool:
        """It was written to its end."""
        return self._layout is not None and self._layout.closed

    def begin_with_silence(self, frames: int) -> None:
        """So much of it comes before its first sample."""
        self._lead = frames

    def read_into(self, out: Samples, rate_hz: int) -> None:
        """Fill `out` with the next samples, then silence; listen to them on the way."""
        got = min(len(out), self._lead)
        out[:got] = 0
        wanted = min(len(out) - got, self._left)
        if wanted and self._file is not None:
            block = np.frombuffer(self._file.read(2 * wanted), dtype="<i2")
            out[got : got + len(block)] = block
            got += len(block)
        if got and self.frames:
            self.activity.hear(out[:got], rate_hz)
        out[got:] = 0
        self._lead -= min(len(out), self._lead)
        self._left -= wanted

    def measure(self, pauses: Stretches = ()) -> LegMeasure:
        """What was seen so far."""
        silent = [(start + PAUSE_EDGE_MS, stop - PAUSE_EDGE_MS) for start, stop in pauses]
        return LegMeasure(
            side=self._side,
            present=self._file is not None,
            closed=self.closed,
            frames=self.frames,
            loud_ms=self.activity.loud_ms,
            speech_db=self.activity.speech_db,
            clipped_share=self.activity.clipped_share,
            heard_in_pause_ms=self.activity.heard_ms([(start, stop) for start, stop in silent if start < stop]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


class HashedFile:
    """A file that is only written forwards, and hashed on the way."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # what a killed intake left
        self._file = path.open("xb", buffering=0)
        self._hash = hashlib.sha256()
        self.size = 0
        self.failure: OSError | None = None
        """Why the disk refused: the library that writes through us may report it as a failure of its own."""

    def write(self, data: bytes) -> int:
        """Write all of it. Raises OSError where the disk is full."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
            raise
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def finish(self) -> bytes:
        """Make the bytes durable and return their SHA-256."""
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.digest()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class HashedSink:
    """Hashes what passes through."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Pass it on."""
        self._hash.update(data)
        self.size += len(data)
        return self._sink.write(data)

    @property
    def sha256(self) -> bytes:
        """Of all that has passed."""
        return self._hash.digest()


def make_master(
    customer: Path,
    agent: Path,
    part: Path,
    *,
    expected_ms: int | None,
    alone_ms: int = 0,
    seal: Seal | None = None,
    pauses: Stretches = (),
) -> Master:
    """Encode two legs into `part`, sealed where a seal is given, durable when this returns. `pauses`: where nothing was recorded.

    The sound begins at the answer: what Asterisk did not write while the customer was alone (`alone_ms`) is silence.

    Raises BadLeg when a leg is no sound we know, OSError when the disk refuses. On an error nothing is left at `part`.
    """
    with Leg("customer", customer) as left, Leg("agent", agent) as right:
        rates = {leg.rate_hz for leg in (left, right) if leg.frames and leg.rate_hz}
        if len(rates) > 1:
            raise BadLeg("rates_differ", "The two legs have different sample rates; check the MixMonitor format.")
        frames = max(left.frames, right.frames)
        if frames == 0:
            return Master(
                bytes=0,
                sha256=b"",
                content_bytes=0,
                content_sha256=b"",
                duration_ms=0,
                faults=judge((left.measure(), right.measure()), rate_hz=8000, expected_ms=None),
            )
        rate_hz = rates.pop() or 8000
        lead = _unwritten_ms(left, right, frames * 1000 // rate_hz, expected_ms, alone_ms) * rate_hz // 1000
        for leg in (left, right):
            leg.begin_with_silence(lead)
        frames += lead
        sink = HashedFile(part)
        try:
            sealing = SealingSink(sink, seal) if seal else None
            content = HashedSink(sealing or sink)
            _encode(left, right, frames, rate_hz, content)
            if sealing is not None:
                sealing.finish()
            sha256 = sink.finish()
        except BaseException as error:
            sink.close()
            part.unlink(missing_ok=True)
            if sink.failure is not None and error is not sink.failure:
                raise sink.failure from error
            raise
        measures = (left.measure(pauses), right.measure(pauses))
        faults = judge(measures, rate_hz=rate_hz, expected_ms=expected_ms, paused=bool(pauses))
        return Master(
            bytes=sink.size,
            sha256=sha256,
            content_bytes=content.size,
            content_sha256=content.sha256,
            duration_ms=frames * 1000 // rate_hz,
            faults=faults,
            analysis=_analysis(left.activity, right.activity, pauses),
        )


def _unwritten_ms(left: Leg, right: Leg, length_ms: int, expected_ms: int | None, alone_ms: int) -> int:
    """What is missing before the first sample. MixMonitor throws away half a second and more of a customer to whom nobody sends anything yet; both legs that
    were written to their end lack it at the same place. What was cut off by a death lacks its end.
    """
    if expected_ms is None or not (left.closed and right.closed):
        return 0
    missing = expected_ms - length_ms
    return missing if _LEAD_MS <= missing <= alone_ms + _LEAD_MS else 0


def _analysis(customer: Activity, agent: Activity, pauses: Stretches) -> Analysis:
    unknown = [(max(0, start - PAUSE_EDGE_MS), stop + PAUSE_EDGE_MS) for start, stop in pauses]
    peaks = [side.peaks for side in (customer, agent)]
    longest = max(len(side) for side in peaks)
    each_ms, left = waveform(np.pad(peaks[0], (0, longest - len(peaks[0]))), WAVEFORM_POINTS)
    _, right = waveform(np.pad(peaks[1], (0, longest - len(peaks[1]))), WAVEFORM_POINTS)
    return Analysis(
        talk=figures(customer.voiced, agent.voiced, frame_ms=FRAME_MS, unknown=unknown),
        customer_db=customer.speech_db,
        agent_db=agent.speech_db,
        waveform=Waveform(each_ms=each_ms, customer=left, agent=right),
    )


def _encode(left: Leg, right: Leg, frames: int, rate_hz: int, sink: HashedSink) -> None:
    with av.open(sink, "w", format="ogg", options=_CONTAINER_OPTIONS) as container:
        stream = opus_stream(container, rate_hz)
        block = rate_hz * BLOCK_S
        side = np.empty(block, dtype="<i2")
        for start in range(0, frames, block):
            count = min(block, frames - start)
            stereo = np.empty((1, 2 * count), dtype="<i2")
            left.read_into(side[:count], rate_hz)
            stereo[0, 0::2] = side[:count]
            right.read_into(side[:count], rate_hz)
            stereo[0, 1::2] = side[:count]
            encode_block(container, stream, stereo, rate_hz=rate_hz, start=start)
        container.mux(stream.encode(None))


def opus_stream(container: av.container.OutputContainer, rate_hz: int) -> AudioStream:
    """A stereo voice stream with the settings of every master."""
    stream = container.add_stream("libopus", rate=rate_hz, options=_CODEC_OPTIONS, layout="stereo")
    stream.bit_rate = BIT_RATE
    return stream


def encode_block(
    container: av.container.OutputContainer, stream: AudioStream, stereo: Samples, *, rate_hz: int, start: int
) -> None:
    """Encode interleaved samples, shape (1, 2 x frames), that begin at frame `start`."""
    frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
    frame.sample_rate = rate_hz
    frame.pts = start
    container.mux(stream.encode(frame))

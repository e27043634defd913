"""A copy of a recording that says whose copy it is: in its tags, and in its sound, where it stays when the tags are taken away."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import av
import numpy as np

from recorder import watermark
from recorder.clip import original_rate_hz
from recorder.master import encode_block, opus_stream
from recorder.sealing import Seal, content_of
from recorder.watermark import Sound

_BIT_RATE: Final = (
    64_000  # more than masters have: from here on encoding it a second time is not heard (PESQ, docs/recordings.md)
)
_BLOCK_S: Final = 20


def personal_copy(path: Path, seal: Seal | None, tags: Mapping[str, str], *, secret: bytes) -> bytes:
    """The recording as a file of its own, with tags and the mark of a secret. Blocking, some hundred times faster than real time. Raises FileGone."""
    out = io.BytesIO()
    with content_of(path, seal) as content, av.open(content, "r") as source, av.open(
        out, "w", format="ogg", options={"fflags": "+bitexact"}
    ) as target:  # fmt: skip
        rate_hz = original_rate_hz(source.streams.audio[0].codec_context.extradata)
        if rate_hz % watermark.RATE_HZ:
            rate_hz = 48_000
        stream = opus_stream(target, rate_hz)
        stream.bit_rate = _BIT_RATE
        target.metadata.update(tags)
        stream.metadata.update(tags)
        start = 0
        for block in watermark.marked(sound_of(source, rate_hz), secret, rate_hz=rate_hz):
            samples = np.clip(np.round(block.T * 32768), -32768, 32767).astype("<i2")
            if len(samples):
                encode_block(target, stream, samples.reshape(1, -1), rate_hz=rate_hz, start=start)
            start += len(samples)
        target.mux(stream.encode(None))
    return out.getvalue()


def sound_of(source: av.container.InputContainer, rate_hz: int) -> Iterator[Sound]:
    """The sound of an open file in stereo, block by block."""
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate_hz)
    parts: list[Sound] = []
    held = 0
    for frame in _frames(source):
        for part in resampler.resample(frame):
            sound = part.to_ndarray().reshape(-1, 2).T.astype(np.float32) * np.float32(1 / 32768)
            parts.append(sound)
            held += sound.shape[1]
        if parts and (frame is None or held >= _BLOCK_S * rate_hz):
            yield np.concatenate(parts, axis=1)
            parts, held = [], 0


def _frames(source: av.container.InputContainer) -> Iterator[av.AudioFrame | None]:
    """All frames, and the None that makes a resampler give its last."""
    yield from source.decode(source.streams.audio[0])
    yield None

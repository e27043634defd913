"""MP3 for players that take no Ogg Opus (Safari before 18.4): made when asked for, from the master. The same master gives the same bytes."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Final

import av

from recorder.errors import BadClip
from recorder.sealing import Seal, content_of

MEDIA_TYPE: Final = "audio/mpeg"
LONGEST_MS: Final = 2 * 3600 * 1000
_RATE_HZ: Final = 16_000  # MPEG-2 layer III: not every player takes 8 kHz
_BIT_RATE: Final = 32_000


def transcode(path: Path, seal: Seal | None) -> bytes:
    """A stereo MP3 of a stored master. Blocking, some hundred times faster than real time. Raises FileGone."""
    out = io.BytesIO()
    with content_of(path, seal) as content, av.open(content, "r") as source, av.open(
        out, "w", format="mp3", options={"write_xing": "1", "id3v2_version": "0", "fflags": "+bitexact"}
    ) as target:  # fmt: skip
        stream = target.add_stream("libmp3lame", rate=_RATE_HZ, layout="stereo")
        stream.bit_rate = _BIT_RATE
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=_RATE_HZ)
        for frame in source.decode(source.streams.audio[0]):
            for part in resampler.resample(frame):
                target.mux(stream.encode(part))
        for part in resampler.resample(None):
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return out.getvalue()


async def mp3(path: Path, seal: Seal | None, *, duration_ms: int) -> bytes:
    """The same in a thread. Raises FileGone, BadClip `recording_too_long_for_mp3`."""
    if duration_ms > LONGEST_MS:
        raise BadClip(
            "recording_too_long_for_mp3",
            "This recording is too long to be turned into MP3: use a browser that plays Opus.",
        )
    return await asyncio.to_thread(transcode, path, seal)

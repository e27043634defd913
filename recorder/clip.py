"""Cuts a clip out of a master by time, one side or both (pydub). For some minutes of sound, not for the pipeline: it is held in memory."""

from __future__ import annotations

import asyncio
import io
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final, Literal

import av
import numpy as np

from recorder.errors import BadClip
from recorder.master import encode_block, opus_stream
from recorder.sealing import Seal, content_of

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # it looks for ffmpeg, which we do not use, and for a module that newer Pythons deprecate
    from pydub import AudioSegment

LONGEST_MS: Final = 600_000
_DEFAULT_RATE_HZ: Final = 8000
_WAV_TAGS: Final = {"comment": b"ICMT", "title": b"INAM"}
_PRE_ROLL_MS: Final = 80
"""Opus needs 80 ms before a seek point until its output is right (RFC 7845 section 4.6)."""

Leg = Literal["both", "customer", "agent"]
Media = Literal["wav", "opus"]


async def clip(
    path: Path, *, start_ms: int, end_ms: int, leg: Leg = "both", media: Media = "opus", seal: Seal | None = None,
    tags: Mapping[str, str] | None = None,
) -> bytes:  # fmt: skip
    """The sound from `start_ms` to `end_ms` as a file of its own, with tags that say whose it is. Raises BadClip, FileGone."""
    if not 0 <= start_ms < end_ms or end_ms - start_ms > LONGEST_MS:
        raise BadClip(
            "clip_out_of_bounds", f"A clip begins before it ends and is at most {LONGEST_MS // 60_000} minutes long."
        )
    return await asyncio.to_thread(_clip, path, seal, start_ms, end_ms, leg, media, tags or {})


def _clip(
    path: Path, seal: Seal | None, start_ms: int, end_ms: int, leg: Leg, media: Media, tags: Mapping[str, str]
) -> bytes:
    with content_of(path, seal) as content:
        sound = _decode(content, start_ms, end_ms)
    if len(sound) == 0:
        raise BadClip("clip_after_end", "The recording ends before the clip begins; choose an earlier time.")
    if leg != "both":
        customer, agent = sound.split_to_mono()
        sound = customer if leg == "customer" else agent
    return _wav(sound, tags) if media == "wav" else _opus(sound, tags)


def _decode(content: BinaryIO, start_ms: int, end_ms: int) -> AudioSegment:
    """Only the wanted part is decoded, from the page before it."""
    blocks: list[bytes] = []
    first_ms: float | None = None
    with av.open(content, "r") as container:
        stream = container.streams.audio[0]
        rate_hz = original_rate_hz(stream.codec_context.extradata)
        container.seek(max(0, start_ms - _PRE_ROLL_MS) * 1000, backward=True)
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate_hz)
        for frame in container.decode(stream):
            if first_ms is None:
                first_ms = (frame.time or 0.0) * 1000
            if (frame.time or 0.0) * 1000 >= end_ms:
                break
            blocks += [block.to_ndarray().tobytes() for block in resampler.resample(frame)]
        blocks += [block.to_ndarray().tobytes() for block in resampler.resample(None)]
    sound = AudioSegment(b"".join(blocks), sample_width=2, frame_rate=rate_hz, channels=2)
    offset_ms = first_ms or 0.0
    return sound[max(0.0, start_ms - offset_ms) : max(0.0, end_ms - offset_ms)]


def original_rate_hz(head: bytes | None) -> int:
    """The input sample rate in the identification header (RFC 7845 section 5.1); Opus itself always decodes at 48 kHz."""
    if head is None or len(head) < 16 or not head.startswith(b"OpusHead"):
        return _DEFAULT_RATE_HZ
    return int(struct.unpack_from("<I", head, 12)[0]) or _DEFAULT_RATE_HZ


def _wav(sound: AudioSegment, tags: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    sound.export(out, format="wav")
    chunks = b"".join(_info(_WAV_TAGS[name], text) for name, text in tags.items() if name in _WAV_TAGS)
    if chunks:
        out.seek(0, io.SEEK_END)
        out.write(struct.pack("<4sI4s", b"LIST", 4 + len(chunks), b"INFO") + chunks)
    content = bytearray(out.getvalue())
    struct.pack_into("<I", content, 4, len(content) - 8)
    return bytes(content)


def _info(name: bytes, text: str) -> bytes:
    encoded = text.encode() + b"\0"
    return struct.pack("<4sI", name, len(encoded)) + encoded + b"\0" * (len(encoded) % 2)


def _opus(sound: AudioSegment, tags: Mapping[str, str]) -> bytes:
    stereo = sound.set_channels(2)
    samples = np.frombuffer(stereo.raw_data, dtype="<i2").reshape(1, -1)
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        container.metadata.update(tags)
        stream = opus_stream(container, stereo.frame_rate)
        encode_block(container, stream, samples, rate_hz=stereo.frame_rate, start=0)
        container.mux(stream.encode(None))
    return out.getvalue()

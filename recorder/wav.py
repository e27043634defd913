"""Reads the header of a wav leg, whole or torn.

Asterisk writes the lengths into the header when it closes the file. Killed before that, it leaves a length of 0 and up to
32 KiB less sound. Such a header is repaired while reading: the sound then reaches to the end of the file. The leg itself is
never written to: it is the evidence until the store holds a verified copy.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from recorder.errors import BadLeg

HEADER_BYTES: Final = 65536
"""A header with its chunks fits in this many first bytes of a file."""

SAMPLE_BYTES: Final = 2
_SHORTEST_WITH_SOUND: Final = 46  # a file that is longer is never taken for an empty one
_RATES: Final = frozenset({8000, 12000, 16000, 24000, 48000})  # what Opus takes without resampling
_PCM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WavLayout:
    """Where the sound lies in a leg. `closed`: the header was completed by who wrote it."""

    rate_hz: int
    offset: int
    frames: int
    closed: bool


def read_layout(head: bytes, size: int) -> WavLayout | None:
    """Layout of a mono 16-bit PCM leg from its first bytes and its size; None when it is too short to hold any sound.

    Raises BadLeg where the bytes are no such file.
    """
    if len(head) < 12:
        if not b"RIFF".startswith(head[:4]):
            raise BadLeg("not_wav", "The leg is no wav file; look at it in the poisoned folder.")
        return None
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise BadLeg("not_wav", "The leg is no wav file; look at it in the poisoned folder.")
    rate_hz: int | None = None
    at = 12
    while at + 8 <= len(head):
        name, length = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        body = at + 8
        if name == b"data":
            if rate_hz is None:
                raise BadLeg("not_wav", "The wav leg has sound before its format; look at it in the poisoned folder.")
            return _sound(head, size, rate_hz, body, length)
        if name == b"fmt ":
            rate_hz = _rate(head[body : body + 16])
            if rate_hz is None:
                break
        at = body + length + (length & 1)
    if size >= _SHORTEST_WITH_SOUND:
        raise BadLeg("not_wav", "The wav leg has no sound chunk; look at it in the poisoned folder.")
    return None


def _rate(chunk: bytes) -> int | None:
    if len(chunk) < 16:
        return None
    kind, channels, rate_hz, _, _, bits = struct.unpack("<HHIIHH", chunk)
    if (kind, channels, bits) != (_PCM, 1, 8 * SAMPLE_BYTES) or rate_hz not in _RATES:
        raise BadLeg(
            "not_mono_16bit", "The leg is not mono 16-bit PCM at a telephone rate; check the MixMonitor format."
        )
    return int(rate_hz)


def _sound(head: bytes, size: int, rate_hz: int, offset: int, length: int) -> WavLayout:
    there = max(0, size - offset)
    riff = struct.unpack_from("<I", head, 4)[0]
    # A second chunk after the sound is only believed when the outer length vouches for it.
    closed = length > 0 and (length == there or (length < there and riff + 8 == size))
    return WavLayout(
        rate_hz=rate_hz, offset=offset, frames=(length if closed else there) // SAMPLE_BYTES, closed=closed
    )

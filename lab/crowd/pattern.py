"""The sound a party says, and how to follow it in a recording.

Twenty seconds of A-law noise, said again and again. No two packets of it begin alike, so any stretch tells where it belongs. A-law
becomes 16-bit sound by a table (G.711), and neither bridge nor recording transcodes: a recording without a gap holds it bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Samples = NDArray[np.int16]

RATE_HZ = 8000
PACKET_SAMPLES = 160
PACKETS = 1024
_KEY_SAMPLES = 4
_LOOK_AHEAD = RATE_HZ // 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Where a leg does not go on as it should.

    at: sample of the leg where the sound stops being the expected one. foreign: samples that are not the sound (silence, most often).
    missing: samples of the sound that are not in the leg (negative: samples said twice), modulo the length of the pattern.
    """

    at: int
    foreign: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """start, stop: first sample of the sound in the leg and the one after its last; both 0 when it is not there at all."""

    start: int
    stop: int
    gaps: tuple[Gap, ...]


def sound_of(voice: int) -> Bytes:
    """Packets × samples of A-law. The same `voice` (0 to 63) gives the same sound on any machine."""
    sound = np.random.default_rng(voice).integers(0, 256, (PACKETS, PACKET_SAMPLES), dtype=np.uint8)
    # The first two bytes number the packet within all voices, so that a packet that went astray is seen as well. The low byte
    # comes first: neighbours differ from their first sample on, and a gap is found where it is.
    sound[:, 0] = np.arange(PACKETS) & 0xFF
    sound[:, 1] = (voice << 2) + (np.arange(PACKETS) >> 8)
    return sound


def decode_alaw(sound: Bytes) -> Samples:
    """16-bit samples (ITU-T G.711, A-law)."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    table = np.where(code & 0x80, size, -size).astype(np.int16)
    return table[sound]


def follow(leg: Samples, sound: Bytes) -> Continuity:
    """Find the sound in a leg and follow it to its end; what comes before and after is not looked at."""
    expected = decode_alaw(sound).ravel()
    starts = _keys(expected)[::PACKET_SAMPLES]
    order = np.argsort(starts)
    found = _next_start(leg, 0, starts[order])
    if found is None:
        return Continuity(start=0, stop=0, gaps=())
    first = found[0]
    gaps: list[Gap] = []
    at, place = first, int(order[found[1]]) * PACKET_SAMPLES
    while True:
        at, place = _run(leg, at, expected, place)
        found = _next_start(leg, at, starts[order])
        if found is None:
            return Continuity(start=first, stop=at, gaps=tuple(gaps))
        found_place = int(order[found[1]]) * PACKET_SAMPLES
        half = len(expected) // 2
        missing = (found_place - place + half) % len(expected) - half
        gaps.append(Gap(at=at, foreign=found[0] - at, missing=missing))
        at, place = found[0], found_place


def _next_start(leg: Samples, at: int, starts: NDArray[np.int64]) -> tuple[int, int] | None:
    """Where the next packet begins, and its place among `starts` (sorted)."""
    while at < len(leg):
        keys = _keys(leg[at : at + _LOOK_AHEAD + _KEY_SAMPLES - 1])
        places = np.minimum(np.searchsorted(starts, keys), len(starts) - 1)
        known = np.flatnonzero(starts[places] == keys)
        if len(known):
            return at + int(known[0]), int(places[known[0]])
        at += _LOOK_AHEAD
    return None


def _keys(samples: Samples) -> NDArray[np.int64]:
    """Four samples in a row as one number, for each sample that begins such a row."""
    if len(samples) < _KEY_SAMPLES:
        return np.zeros(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(samples, _KEY_SAMPLES)
    return np.ascontiguousarray(windows).view(np.int64).ravel()


def _run(leg: Samples, at: int, expected: Samples, place: int) -> tuple[int, int]:
    """As far as the leg is what is expected: the sample after it in both."""
    while at < len(leg):
        length = min(len(leg) - at, len(expected) - place)
        differs = np.flatnonzero(leg[at : at + length] != expected[place : place + length])
        if len(differs):
            return at + int(differs[0]), (place + int(differs[0])) % len(expected)
        at, place = at + length, (place + length) % len(expected)
    return at, place

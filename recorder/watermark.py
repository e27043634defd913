"""A mark in the sound of what leaves the house: nobody hears it, and it tells from which export a leaked file comes.

Spread spectrum (Cox and others, 1997) in time and frequency. A secret of 32 bytes gives a sequence of +1 and -1 that repeats every 4.1 s. It is added
to both sides of the sound, in every frame and band as much weaker than the sound itself as `STRENGTH_DB` says, so that the voice hides it. To look for it, the
sound is made white (its phases alone are kept), folded onto one period, and compared with a sequence at every place of the period: a mark stands out of
the noise with the square root of the length. An encoder, a cut, or mixing both sides to one leaves enough of it. A change of speed or
pitch, or recording it anew from a loudspeaker, does not.

Pure but for numpy. Sound is float32, 1.0 is full scale, shape (sides, samples).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
Spectra = NDArray[Any]  # complex, shape (sides, frames, bands)

RATE_HZ: Final = 8000
"""What the mark is made for and looked for at. Sound of a multiple of it is marked in its lowest 3.5 kHz."""
STRENGTH_DB: Final = -26.0
PERIOD: Final = 32_768
_HOP, _FRAME = 128, 256  # 32 ms, half overlapping
_BANDS: Final = slice(8, 113)  # 250 to 3500 Hz
_NEIGHBOURS: Final = 2  # the mark follows the level of the sound over so many bands to either side
_SILENCE: Final = 2e-3  # a band this weak is nothing to look at
_FINER: Final = 2  # places looked at for each sample: an encoder may shift by a part of one


def sequence(secret: bytes) -> Sound:
    """One period of +1 and -1. The same on every machine and in every version: old marks must be found."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(b"waihu mark 1" + secret).digest(PERIOD // 8), np.uint8))
    return bits.astype(np.float32) * 2 - 1


class _Frames:
    """Takes sound into half-overlapping windowed frames and back, piece by piece: half a frame waits for what comes."""

    def __init__(self, sides: int, times: int = 1) -> None:
        self._hop = _HOP * times
        self._window = np.sqrt(np.hanning(2 * self._hop + 1)[:-1]).astype(np.float32)
        self._waiting = np.zeros((sides, self._hop), np.float32)
        self._tail = np.zeros((sides, self._hop), np.float32)

    def apart(self, sound: Sound) -> tuple[Sound, Spectra]:
        """The samples that `together` gives the next ones for (half a frame behind), and the spectra of the frames that became whole."""
        joined = np.concatenate([self._waiting, sound], axis=1)
        self._waiting = joined[:, -self._hop :]
        frames = np.lib.stride_tricks.sliding_window_view(joined, 2 * self._hop, axis=1)[:, :: self._hop]
        return joined[:, : -self._hop], np.fft.rfft(frames * self._window, axis=2)

    def together(self, spectra: Spectra) -> Sound:
        """The sound of frames, added up as far as it is complete."""
        frames = np.fft.irfft(spectra, 2 * self._hop, axis=2).astype(np.float32) * self._window
        sides, count, _ = frames.shape
        first, second = frames[..., : self._hop], frames[..., self._hop :]
        before = np.concatenate([self._tail[:, None], second[:, :-1]], axis=1)
        self._tail = second[:, -1]
        return np.asarray((first + before).reshape(sides, count * self._hop), np.float32)


def _pieces(blocks: Iterable[Sound], sides: int, of: int) -> Iterator[Sound]:
    """The same sound in pieces of a multiple of `of` samples, with silence up to that and one `of` more at its end."""
    rest = np.zeros((sides, 0), np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block], axis=1)
        whole = rest.shape[1] // of * of
        if whole:
            yield rest[:, :whole]
        rest = rest[:, whole:]
    yield np.pad(rest, ((0, 0), (0, -rest.shape[1] % of + of)))


def marked(blocks: Iterable[Sound], secret: bytes, *, rate_hz: int, sides: int = 2) -> Iterator[Sound]:
    """The same sound with a mark, sample for sample. `rate_hz` is a multiple of 8000. Memory grows with the blocks, not with the sound."""
    times = rate_hz // RATE_HZ
    hop, one_period = _HOP * times, sequence(secret)
    sound, marks = _Frames(sides, times), _Frames(1)
    gain = 10 ** (STRENGTH_DB / 20) / math.sqrt(_FRAME / 2)  # the mean square of the window is a half
    at, left, early = 0, 0, hop
    for piece in _pieces(_counted(blocks, counts := [0]), sides, hop):
        count = piece.shape[1] // times
        before, spectra = sound.apart(piece)
        _, ours = marks.apart(np.take(one_period, np.arange(at, at + count) % PERIOD)[None])
        at += count
        added = np.zeros_like(spectra)
        added[..., _BANDS] = gain * _smooth(np.abs(spectra))[..., _BANDS] * ours[..., _BANDS]
        out = before + sound.together(added)
        out, early = out[:, early:], max(0, early - out.shape[1])
        out = out[:, : counts[0] - left]
        left += out.shape[1]
        yield out


def _counted(blocks: Iterable[Sound], counts: list[int]) -> Iterator[Sound]:
    for block in blocks:
        counts[0] += block.shape[1]
        yield block


def _smooth(levels: Sound) -> Sound:
    """The mean over neighbouring bands."""
    width = 2 * _NEIGHBOURS + 1
    wide = np.pad(levels, ((0, 0), (0, 0), (_NEIGHBOURS + 1, _NEIGHBOURS)), mode="edge").cumsum(axis=2)
    return np.asarray((wide[..., width:] - wide[..., :-width]) / width, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for a mark. `sigma`: how far it stands out of the noise. `chance`: how many sounds without it, of one, would look like this."""

    sigma: float
    chance: float


class Traces:
    """A sound, made ready to be asked for marks. `blocks` are of 8 kHz."""

    def __init__(self, blocks: Iterable[Sound], *, sides: int = 2) -> None:
        folded, frames, at, self.samples = np.zeros(PERIOD), _Frames(sides), 0, 0
        for piece in _pieces(blocks, sides, _HOP):
            _, spectra = frames.apart(piece)
            levels = np.abs(spectra)
            loudness = np.sqrt(np.mean(levels[..., _BANDS] ** 2, axis=2, keepdims=True))
            white = np.zeros_like(spectra)
            white[..., _BANDS] = (spectra / (levels + 0.05 * loudness + _SILENCE))[..., _BANDS]
            heard = frames.together(white * (loudness / (loudness + _SILENCE))).sum(axis=0)
            np.add.at(folded, np.arange(at, at + len(heard)) % PERIOD, heard)
            at, self.samples = at + len(heard), self.samples + piece.shape[1]
        self._spectrum = np.fft.rfft(folded)

    def of(self, secret: bytes) -> Evidence:
        """What speaks for the mark of a secret. Some milliseconds, however long the sound is."""
        product = self._spectrum * np.conj(np.fft.rfft(sequence(secret)))
        likeness = np.fft.irfft(np.pad(product, (0, PERIOD * (_FINER - 1) // 2)), PERIOD * _FINER)
        noise = float(likeness.std())
        sigma = float(likeness.max()) / noise if noise > 0 else 0.0
        # A sound without the mark gives normal noise at every place; the highest of them all is what we look at.
        return Evidence(sigma=sigma, chance=min(1.0, PERIOD * _FINER * 0.5 * math.erfc(sigma / math.sqrt(2))))

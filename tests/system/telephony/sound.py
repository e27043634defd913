"""Listening to recorded legs: is there sound, and whose voice is it."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


def leg(spool: Path, base: str, side: str) -> Samples:
    """One leg of a recording (`r` the customer, `t` what the customer hears), mono at 8 kHz."""
    with wave.open(str(spool / f"{base}-{side}.wav"), "rb") as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").astype(np.float64)


def voice(path: Path) -> Samples:
    """A voice of the lab: .wav, or headerless .alaw."""
    options = {"sample_rate": "8000", "ch_layout": "mono"} if path.suffix == ".alaw" else {}
    with av.open(str(path), format="alaw" if path.suffix == ".alaw" else None, options=options) as file:
        return np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)]).astype(np.float64)


def loudness(samples: Samples) -> float:
    """RMS of the loudest second (16 bit scale); silence is below 10."""
    if len(samples) == 0:
        return 0.0
    step = 8000
    return max(float(np.sqrt(np.mean(samples[start : start + step] ** 2))) for start in range(0, len(samples), step))


def likeness(heard: Samples, spoken: Samples) -> float:
    """How well pieces of what was heard can be found in what was spoken: 1 the same, near 0 something else.

    The loudest pieces of 0.6 s are looked for, and the best counts: a piece across a pause of one and a lost packet proves nothing.
    """
    size = 4800
    starts = sorted(
        range(0, len(heard) - size, size), key=lambda start: -float(np.sum(heard[start : start + size] ** 2))
    )
    return max((_found(heard[start : start + size], spoken) for start in starts[:8]), default=0.0)


def _found(piece: Samples, spoken: Samples) -> float:
    spoken = np.concatenate([spoken, np.zeros(len(piece))])
    size = 1 << (len(spoken) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(spoken, size) * np.conj(np.fft.rfft(piece, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(spoken**2)])
    windows = np.maximum(energy[len(piece) :] - energy[: -len(piece)], 1e6)
    return float((products[: len(windows)] / np.sqrt(windows * max(float(np.sum(piece**2)), 1e6))).max())

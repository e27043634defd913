"""Listens to one leg while it is encoded: where there is voice, how loud it is, whether it clips, and the peaks of its waveform.

Block by block, in the same pass as the encoder; what is kept grows by 43 bytes a second of sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from recorder.faults import SILENT_BELOW

FRAME_MS: Final = 30
"""Voice is decided for frames of this length: the longest that webrtcvad takes, hence the fewest calls."""

WINDOW_MS: Final = 100
"""Peaks are kept for windows of this length."""

BLOCK_S: Final = 12
"""Seconds of sound handled at once: whole frames and whole windows."""

CLIPS_AT: Final = 32_000
"""Full scale of what G.711 can carry is 32,124 (mu-law) or 32,256 (A-law): at or above this a sample is at its stop."""

_AGGRESSIVENESS: Final = 2  # of 0 to 3: lines are noisy, and a breath is no word
_FLOOR: Final = 100  # RMS of a frame that can be voice at all: -50 dB of full scale
_VAD_RATES: Final = frozenset({8000, 16000, 48000})
_VAD_RATE_HZ: Final = 8000

Samples = NDArray[np.int16]


class Activity:
    """Of one leg. Blocks are BLOCK_S long but for the last; what does not fill a frame or a window at the end is left out."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(_AGGRESSIVENESS)
        self._voiced: list[NDArray[np.bool_]] = []
        self._peaks: list[NDArray[np.uint16]] = []
        self._energy = 0.0
        self._voiced_samples = 0
        self.clipped = 0
        """Samples at their stop."""

    def hear(self, block: Samples, rate_hz: int) -> None:
        """Take in the next samples."""
        self._measure_peaks(block, rate_hz * WINDOW_MS // 1000)
        if rate_hz not in _VAD_RATES:
            block, rate_hz = _resampled(block, rate_hz), _VAD_RATE_HZ
        width = rate_hz * FRAME_MS // 1000
        count = len(block) // width
        frames = np.ascontiguousarray(block[: count * width], dtype="<i2").reshape(count, width)
        energies = np.einsum("ij,ij->i", frames, frames, dtype=np.float32, casting="unsafe")
        loud = energies > _FLOOR * _FLOOR * width
        sound, step, is_speech = frames.tobytes(), 2 * width, self._vad.is_speech
        heard = [is_speech(sound[at : at + step], rate_hz) for at in range(0, count * step, step)]
        voiced = np.fromiter(heard, np.bool_, count) & loud
        self._voiced.append(voiced)
        self._energy += float(energies[voiced].sum(dtype=np.float64))
        self._voiced_samples += int(np.count_nonzero(voiced)) * width

    def _measure_peaks(self, block: Samples, window: int) -> None:
        count = len(block) // window
        windows = block[: count * window].reshape(count, window)
        peaks = np.maximum(windows.max(axis=1).astype(np.int32), -windows.min(axis=1).astype(np.int32))
        if len(peaks) and int(peaks.max()) >= CLIPS_AT:
            self.clipped += int(np.count_nonzero((block >= CLIPS_AT) | (block <= -CLIPS_AT)))
        self._peaks.append(peaks.astype(np.uint16))

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Voice or not, a value for each FRAME_MS."""
        return np.concatenate(self._voiced) if self._voiced else np.zeros(0, np.bool_)

    @property
    def peaks(self) -> NDArray[np.uint16]:
        """Highest amplitude (0 to 32768) of each WINDOW_MS."""
        return np.concatenate(self._peaks) if self._peaks else np.zeros(0, np.uint16)

    @property
    def loud_ms(self) -> int:
        """Milliseconds above silence, by windows."""
        return int(np.count_nonzero(self.peaks > SILENT_BELOW)) * WINDOW_MS

    def heard_ms(self, stretches: Sequence[tuple[int, int]]) -> int:
        """Milliseconds with any sound at all within stretches (in ms), by windows that lie wholly in them."""
        peaks = self.peaks
        within = (peaks[-(-start // WINDOW_MS) : max(0, stop) // WINDOW_MS] for start, stop in stretches)
        return sum(int(np.count_nonzero(windows)) for windows in within) * WINDOW_MS

    @property
    def speech_db(self) -> float | None:
        """RMS of the voice in dB of full scale; None where there is none."""
        if not self._voiced_samples:
            return None
        return round(10 * float(np.log10(self._energy / self._voiced_samples / 32768**2)), 1)

    @property
    def clipped_share(self) -> float:
        """Samples at their stop, of those with voice."""
        return self.clipped / self._voiced_samples if self._voiced_samples else 0.0


def _resampled(block: Samples, rate_hz: int) -> Samples:
    """For the voice detector alone, which takes neither 12 nor 24 kHz; good enough for it."""
    at = np.arange(0, len(block), rate_hz / _VAD_RATE_HZ)
    return np.asarray(np.interp(at, np.arange(len(block)), block), np.int16)


def waveform(peaks: NDArray[np.uint16], points: int) -> tuple[int, bytes]:
    """At most `points` peaks, each 0 to 255 of full scale, and the milliseconds each stands for."""
    each = max(1, -(-len(peaks) // points))
    padded = np.zeros(-(-len(peaks) // each) * each, np.uint16)
    padded[: len(peaks)] = peaks
    highest = padded.reshape(-1, each).max(axis=1) if len(padded) else padded
    return each * WINDOW_MS, np.minimum(highest >> 7, 255).astype(np.uint8).tobytes()

"""The chance that answers find nobody free: P(answered − freed ≥ free), for all horizons and numbers of new calls at once.

A small floor is summed exactly, by the characteristic function of its calls and agents on a grid of frequencies (Fernández and
Williams, 2010: the Poisson-binomial distribution). On a large one three cumulants are enough, and cost nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing.lifetable import Array

Waves = NDArray[np.complex128]

_FINE = 512  # steps of the table for one standard deviation
_REACH = 8
_TAIL = np.array([0.5 * math.erfc(n / _FINE / math.sqrt(2)) for n in range(-_REACH * _FINE, _REACH * _FINE + 1)])

# A gamma that leans more to the left ends within three deviations, and what lies beyond would be as likely as its end: one call more would then
# make late answers rarer. At this skewness the end is as likely as 3e-9.
_LEAST_SKEW = -1.0

_AROUND = 32  # whole numbers that can be told apart: differences of 16 either way
_HALF = _AROUND // 2
_CERTAIN = (
    8.0  # five standard deviations of a small floor: as far from the threshold as from the other side of the circle
)
_FREQUENCIES = np.exp(2j * np.pi * np.arange(_HALF + 1) / _AROUND)
# Summed over the upper half of the circle; all frequencies but the first and the last stand for two.
_UPPER_HALF = np.exp(-2j * np.pi * np.outer(np.arange(_HALF + 1), np.arange(_HALF)) / _AROUND).sum(axis=1) / _AROUND
_UPPER_HALF[1:-1] *= 2
_FROM = _FREQUENCIES.conj() ** np.arange(_AROUND)[:, None] * _UPPER_HALF


def upper_tail(z: Array) -> Array:
    """P(standard normal > z)."""
    at = np.minimum(np.maximum(z * _FINE, -_REACH * _FINE), _REACH * _FINE).astype(np.intp)
    found: Array = _TAIL[at + _REACH * _FINE]
    return found


def at_least(threshold: Array, mean: Array, variance: Array, third: Array) -> Array:
    """P(X ≥ threshold) of a whole-numbered X with these cumulants.

    The normal tail with continuity correction, its argument made skew like a gamma variable of the same skewness (Wilson and
    Hilferty, 1931), which never loses the order of two thresholds.
    """
    deviation = np.sqrt(variance + 1e-6)
    z = (threshold - 0.5 - mean) / deviation
    skew = np.maximum(third / (deviation * deviation * deviation), _LEAST_SKEW)
    skew = np.where(np.abs(skew) < 1e-3, 1e-3, skew)
    inner = np.maximum(1 + skew * z / 2, 0)
    return upper_tail((6 / skew) * (np.cbrt(inner) - 1) + skew / 6)


def waves(chances: Array) -> Waves:
    """Characteristic functions of Bernoulli variables, on a last axis of frequencies."""
    found: Waves = 1 + chances[..., None] * (_FREQUENCIES - 1)
    return found


def at_least_exactly(threshold: Array, mean: Array, wave: Waves) -> Array:
    """P(X ≥ threshold) of a sum with this mean whose characteristic function is the product `wave`; for small variances."""
    first = np.ceil(threshold - 1e-9).astype(np.intp)
    found = (wave * _FROM[first % _AROUND]).real.sum(axis=-1)
    # What is farther away than the circle reaches is certain.
    return np.where(np.abs(first - mean) < _CERTAIN, np.clip(found, 0, 1), mean > first)

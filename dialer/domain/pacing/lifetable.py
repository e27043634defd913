"""How long things last and how they end: discrete life tables with competing causes, learned while they run.

A bin's chance of a cause is (ends of that cause) / (those who entered the bin), both forgotten exponentially, so that the table
follows the day; what still runs has entered the bins up to its age (censoring), so that a cold start does not believe only what
ended soon. A prior of a few imagined calls stands in until there are real ones. Actuarial estimator: Kaplan and Meier (1958),
Prentice et al. (1978) for several causes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_HEAVY = 1e9  # weights grow instead of old counts shrinking; beyond this they are scaled down together


def bins_of(ages_s: Array, width_s: float, count: int) -> Array:
    """The bin of each age, not yet whole; what is older than the last bin is in it. Two ufuncs, because this runs in every tick (np.clip costs three times as much)."""
    bins: Array = np.minimum(np.maximum(ages_s / width_s, 0.0), count - 1.0)
    return bins


class LifeTable:
    """Ends by age and cause. `prior[cause][bin]` are chances that are believed like `prior_weight` calls."""

    def __init__(
        self, *, width_s: float, half_life: float, prior: Sequence[Sequence[float]], prior_weight: float
    ) -> None:
        chances = np.array(prior, dtype=np.float64)
        self._bins = chances.shape[1]
        self._width_s = width_s
        self._growth = 2 ** (1 / half_life)
        entered = prior_weight * survival(chances.sum(axis=0))[:-1]
        self._prior_entered = entered + 1e-9
        self._prior_ends = chances * self._prior_entered
        self._weight = 1.0
        # One more than the causes: what left without an end, because we ended it.
        self._ends = [[0.0] * self._bins for _ in range(len(chances) + 1)]
        self.count = 0

    def ended(self, cause: int | None, age_s: float) -> None:
        """One ended at this age; None: we ended it ourselves, what it would have come to is not known."""
        self._weight *= self._growth
        if self._weight > _HEAVY:
            self._scale(1 / self._weight)
        self._ends[-1 if cause is None else cause][min(self._bins - 1, max(0, int(age_s / self._width_s)))] += (
            self._weight
        )
        self.count += 1

    def chances(self, running_s: Array) -> Array:
        """The chance of each cause in each bin, for those who enter it, with the ages of what runs now."""
        ends = np.array(self._ends) / self._weight
        bins = bins_of(running_s, self._width_s, self._bins).astype(np.intp)
        censored = ends[-1] + np.bincount(bins, minlength=self._bins)
        left = ends[:-1].sum(axis=0) + censored
        entered = np.cumsum(left[::-1])[::-1] - censored / 2
        found: Array = (ends[:-1] + self._prior_ends) / (entered + self._prior_entered)
        return found

    def to_state(self) -> dict[str, Any]:
        """What was learned, as plain data."""
        return {"count": self.count, "ends": [[round(n / self._weight, 6) for n in bins] for bins in self._ends]}

    def restore(self, state: dict[str, Any], trust: float = 1.0) -> None:
        """Take over what was learned; with less trust it weighs like fewer calls."""
        ends = [[float(n) * trust for n in bins] for bins in state["ends"]]
        if [len(bins) for bins in ends] == [len(bins) for bins in self._ends]:  # else: of another make, learn anew
            self._ends, self._weight, self.count = ends, 1.0, int(state["count"] * trust)

    def _scale(self, factor: float) -> None:
        self._ends = [[n * factor for n in bins] for bins in self._ends]
        self._weight *= factor


def survival(chances: Array) -> Array:
    """The share that is still there at the beginning of each bin, and after the last."""
    return np.concatenate(([1.0], np.cumprod(1 - np.clip(chances, 0, 1))))

"""The answer level: how much better or worse this part of the list answers than what the life table has learned so far.

Observed answers over expected ones, forgotten fast. A second, shorter memory notices when the list changes its character (a jump,
in standard errors) and then replaces the longer one at once.
"""

from __future__ import annotations

import math
from typing import Any

_HALF_LIFE = 200.0  # expected answers
_SHORT_HALF_LIFE = 14.0
_PRIOR = 12.0  # imagined answers that say "as before"
_JUMP = 4.0  # standard errors
_ENOUGH = 6.0  # expected answers before a jump is believed
_LOWEST, _HIGHEST = 0.1, 6.0


class Level:
    """A multiplier on the chance to be answered."""

    def __init__(self) -> None:
        self._observed = self._expected = 0.0
        self._short_observed = self._short_expected = 0.0
        self._prior = 1.0

    def answered(self) -> None:
        """One call was answered."""
        if self._expected == 0:
            return  # nothing was expected yet
        self._observed += 1
        self._short_observed += 1

    def expect(self, answers: float) -> None:
        """So many answers were to be expected, at level 1, since the last time."""
        keep, short_keep = 0.5 ** (answers / _HALF_LIFE), 0.5 ** (answers / _SHORT_HALF_LIFE)
        self._observed *= keep
        self._expected = self._expected * keep + answers
        self._prior = 1 + (self._prior - 1) * keep  # the life table learns it by itself
        self._short_observed *= short_keep
        self._short_expected = self._short_expected * short_keep + answers
        likely = self.value * self._short_expected
        # An exponentially weighted count of Poisson events has half the variance of its mean.
        if self._short_expected > _ENOUGH and abs(self._short_observed - likely) > _JUMP * math.sqrt(likely / 2):
            self._observed, self._expected = self._short_observed, self._short_expected

    def shift(self, times: float) -> None:
        """From now on so many times as much is expected: another hour, list or trunk, known from before.

        What was seen is carried over, and counts less the farther it has to go.
        """
        carried = min(times, 1 / times)
        self._observed, self._expected = self._observed * times * carried, self._expected * carried
        self._short_observed, self._short_expected = (
            self._short_observed * times * carried,
            self._short_expected * carried,
        )
        self._prior *= times

    @property
    def value(self) -> float:
        """1 is: as learned."""
        return min(_HIGHEST, max(_LOWEST, (self._observed + _PRIOR * self._prior) / (self._expected + _PRIOR)))

    @property
    def doubt(self) -> float:
        """Its relative standard error."""
        return 1 / math.sqrt(1.5 * self._observed + _PRIOR)

    def to_state(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "observed": [self._observed, self._short_observed],
            "expected": [self._expected, self._short_expected],
            "prior": self._prior,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what was learned."""
        self._observed, self._short_observed = map(float, state["observed"])
        self._expected, self._short_expected = map(float, state["expected"])
        self._prior = float(state["prior"])

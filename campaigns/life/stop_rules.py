"""Stop rules: what makes a project stop by itself, judged call by call. Pure.

Each rule follows one share (complaints of answered calls, abandoned of answered, answered of dialled) with a cumulative sum of log-likelihood
ratios, the optimal test for "it was as tolerated and has become alarming" (E. S. Page, Biometrika 41 (1954); G. Lorden, Ann. Math. Stat. 42
(1971)): score = max(0, score + log(chance if alarming / chance if tolerated)). It stops at score >= log(N): while the share is the tolerated one
there are on average N calls or more between false stops (Lorden's bound), whatever was seen before. A few calls cannot reach it, nor does
it stop before `least_calls`. Nothing is kept but the score: no call is looked at twice, and the cost does not grow with history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class RuleKind(StrEnum):
    """What a stop rule follows; the same words as in `stop_rules.kind`."""

    COMPLAINTS = "complaints"  # results that mean a complaint, of answered calls
    ABANDONMENT = "abandonment"  # abandoned, of answered calls
    ANSWERS = "answers"  # answered, of calls that were dialled: a collapse stops


FALLING: Final = frozenset({RuleKind.ANSWERS})
"""Of these a low share is alarming, of the others a high one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """A share that is `tolerated`, and one that is `alarming`; on average `false_stop_calls` or more between stops while it is as tolerated."""

    kind: RuleKind
    tolerated: float
    alarming: float
    false_stop_calls: int = 20_000
    least_calls: int = 30

    def __post_init__(self) -> None:
        in_order = self.alarming < self.tolerated if self.kind in FALLING else self.tolerated < self.alarming
        if not (0 < self.tolerated < 1 and 0 < self.alarming < 1 and in_order):
            raise ValueError("shares lie between 0 and 1, and the alarming one beyond the tolerated one")
        if self.false_stop_calls < 2 or self.least_calls < 1:
            raise ValueError("at least 2 calls between false stops, and at least 1 call before any")

    @property
    def limit(self) -> float:
        """The score at which it stops."""
        return math.log(self.false_stop_calls)

    def weight(self, *, hit: bool) -> float:
        """How much a call that is (or is not) one of the share speaks for the alarming one."""
        if hit:
            return math.log(self.alarming / self.tolerated)
        return math.log((1 - self.alarming) / (1 - self.tolerated))


@dataclass(slots=True, kw_only=True)
class Watch:
    """A rule at work: `hits` of `calls` since it began, and the evidence of late."""

    rule: StopRule
    score: float = 0.0
    calls: int = 0
    hits: int = 0

    @property
    def stops(self) -> bool:
        """It says stop."""
        return self.calls >= self.rule.least_calls and self.score >= self.rule.limit - 1e-9

    @property
    def evidence(self) -> float:
        """How far it is: 1 stops."""
        return self.score / self.rule.limit

    def see(self, *, hit: bool) -> None:
        """One more call."""
        self.calls += 1
        self.hits += hit
        self.score = max(0.0, self.score + self.rule.weight(hit=hit))

    def turn(self) -> None:
        """A call that was seen without it turns out to be one of the share: a complaint comes with the result, after the call."""
        self.hits += 1
        self.score = max(0.0, self.score + self.rule.weight(hit=True) - self.rule.weight(hit=False))

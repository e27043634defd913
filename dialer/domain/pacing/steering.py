"""Steering by the budget: which chance to be abandoned (theta) a new call may have, so that the day ends at the cap and not over it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

# The aim, in abandoned calls left, and the pull towards it, by the cube root of the calls that the period allows; see `Steering`.
_AIM, _PULL, _PULL_UP = 1.1, 2.6, 1.0
_DRIFT, _DRIFT_REACH = 0.125, 1.0  # half of what would be critically damped
_PERIOD_ANSWERS_OF_AGENT = 240.0  # a shift's; a longer period shows by its answers
# The credit of a young period: this share of what its first answers will allow, for so many answers (of a few agents, of any, of each of many).
_CREDIT = 0.3
_FIRST_ANSWERS_OF_FEW, _FIRST_ANSWERS, _FIRST_ANSWERS_OF_AGENT = 150.0, 1_200.0, 60.0
# With fewer calls than this (and than this share of the aim) left theta shrinks with the square; in small teams, where a call is long in earning, to almost nothing.
_RESERVE, _RESERVE_OF_AIM, _LEAST_CARE, _LEAST_CARE_FROM_AGENTS = 2.0, 0.8, 0.3, 20.0
# The guard: so many calls beyond the room nothing is risked any more.
_DEBT_CALLS_OF_AGENT, _DEBT_CALLS = 0.08, 5.0
# A quarter of an hour shall stay under two and a half caps, where so many calls are allowed in it that it is not ruled by chance; with fewer than
# `_WINDOW_CALLS` left under a little less (what rings can still be abandoned) theta shrinks. A crew of which two thirds have left is still guarded.
_WINDOW_S, _WINDOW_STEP_S, _WINDOW_CAPS, _WINDOW_SAYS, _WINDOW_CALLS, _WINDOW_LEAST = 900.0, 15.0, 2.4, 8.0, 4.0, 0.05
_LOWEST, _HIGHEST = 0.13, 5.0  # of the cap
_LIVE_ANSWERS = 50
_CREW_HALF_LIFE_S = 300.0


@dataclass(slots=True)
class Steering:
    """A controller with a proportional and an integral part on the log of theta, and a guard that it cannot overrule.

    How hard to pull: the calls left wander, because abandoned calls come by chance. Near the aim they are an Ornstein-Uhlenbeck
    process with variance 1 / (2 pull), and log theta has variance pull / 2. Utilisation rises with log theta but calls are abandoned in
    proportion to theta, so that half of that variance is lost (Jensen); what is aimed to be left is lost too, and must be more than
    two deviations of the calls left, or the day ends over the cap. The least loss of both together, with N calls allowed, is at a
    pull in proportion to N^(-2/3) and an aim in proportion to N^(1/3).
    """

    cap: float = 0.03
    agents: float = 0.0  # smoothed: one who comes or goes shall not change theta at that moment
    answered: int = 0
    abandoned: int = 0
    drift: float = 0.0
    busiest: float = 0.0  # abandoned calls that the busiest quarter of an hour of this period allowed
    recent: deque[tuple[float, int, int]] = field(default_factory=deque)  # at, answered, abandoned

    def see(self, at_s: float, seconds: float, cap: float, agents: int, answered: int, abandoned: int) -> None:
        """The budget's two counts, so many seconds later.

        Counts that jump were read, not lived through: a new period has begun, or old calls have left a rolling one.
        """
        new, lost = answered - self.answered, abandoned - self.abandoned
        if not 0 <= new <= _LIVE_ANSWERS or lost < 0:
            if answered < self.answered / 2:
                self.recent.clear()
                self.busiest = 0.0
            self.recent = deque((at, then + new, gone + lost) for at, then, gone in self.recent)
            new = 0
        if not self.recent or at_s - self.recent[-1][0] >= _WINDOW_STEP_S:
            self.recent.append((at_s, answered, abandoned))
            while at_s - self.recent[0][0] > _WINDOW_S:
                self.recent.popleft()
        self.cap, self.answered, self.abandoned = cap, answered, abandoned
        self.busiest = max(self.busiest, self._allowed_lately)
        share = 1 - 0.5 ** (seconds / _CREW_HALF_LIFE_S) if self.agents else 1.0
        self.agents += share * (agents - self.agents)
        if new:
            aim, pull = self.aim, self.pull
            step = _DRIFT * cap * pull * pull * max(-aim, min(aim, self.left - aim))
            self.drift = max(-_DRIFT_REACH, min(_DRIFT_REACH, self.drift + new * step))

    @property
    def room(self) -> float:
        """Abandoned calls that the guard still allows."""
        few = min(_FIRST_ANSWERS, _FIRST_ANSWERS_OF_FEW * self.agents)
        first = max(few, _FIRST_ANSWERS_OF_AGENT * self.agents)
        credit = _CREDIT * self.cap * max(0.0, first - self.answered)
        return self.cap * self.answered + credit - self.abandoned

    @property
    def left(self) -> float:
        """Abandoned calls left, without any credit."""
        return self.cap * self.answered - self.abandoned

    @property
    def allowed(self) -> float:
        """Abandoned calls that the whole period allows, as far as can be said."""
        return max(0.1, self.cap * max(self.answered, _PERIOD_ANSWERS_OF_AGENT * self.agents))

    @property
    def aim(self) -> float:
        """Abandoned calls that are aimed to be left."""
        return _AIM * self._root

    @property
    def pull(self) -> float:
        """How much log theta moves with each call more or less than the aim."""
        return _PULL / (self._root * self._root)

    @property
    def _root(self) -> float:
        return math.cbrt(self.allowed)

    @property
    def theta(self) -> float:
        """The highest chance to be abandoned that a call may have; 0: none at all."""
        if self.room <= -min(_DEBT_CALLS, _DEBT_CALLS_OF_AGENT * self.agents):
            return 0.0
        root = self._root
        push = min(_PULL_UP, _PULL / (root * root) * (self.left - _AIM * root))
        return self._care * max(_LOWEST * self.cap, min(_HIGHEST * self.cap, self.cap * math.exp(push + self.drift)))

    @property
    def _care(self) -> float:
        """How much theta is to shrink, because little is left of the budget or of this quarter of an hour."""
        least = _LEAST_CARE * min(1.0, self.agents / _LEAST_CARE_FROM_AGENTS)
        reserve = max(_RESERVE, _RESERVE_OF_AIM * self.aim)
        of_budget = max(least, min(1.0, self.room / reserve)) ** 2
        of_window = max(_WINDOW_LEAST, min(1.0, self.window_room / _WINDOW_CALLS)) ** 2
        return min(of_budget, of_window)

    @property
    def window_room(self) -> float:
        """Abandoned calls that the present quarter of an hour still allows; endless where it is not guarded."""
        if self.busiest < _WINDOW_SAYS or self._allowed_lately < _WINDOW_SAYS / 4:
            return math.inf
        return max(0.0, self._allowed_lately - self.abandoned + self.recent[0][2])

    @property
    def _allowed_lately(self) -> float:
        """Abandoned calls that the present quarter of an hour allows."""
        return _WINDOW_CAPS * self.cap * (self.answered - self.recent[0][1])

    def to_state(self) -> dict[str, Any]:
        """As plain data."""
        return {"drift": self.drift, "agents": self.agents, "answered": self.answered}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where it was."""
        self.drift, self.agents, self.answered = float(state["drift"]), float(state["agents"]), int(state["answered"])

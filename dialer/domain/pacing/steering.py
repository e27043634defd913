"""Steering by the budget: which chance to be abandoned (theta) a new call may have, so that the day ends at the cap and not over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_CREDIT = 0.3  # of what the budget allows for the first answers may be used before they came
_FIRST_ANSWERS, _FIRST_ANSWERS_OF_AGENT = 800.0, 60.0
_RESERVE_CALLS, _RESERVE_CALLS_OF_AGENT, _RESERVE_CALLS_AT_MOST = 2.0, 0.08, 6.0
_RESERVE = 0.03  # of the budget
_CARE_POWER, _LEAST_CARE = 2.0, 0.3
_DEBT_CALLS, _DEBT_CALLS_OF_AGENT = 2.0, 0.05
_PROPORTIONAL, _PROPORTIONAL_REACH = 0.06, 0.8  # for each call more than the reserve
_INTEGRAL, _INTEGRAL_REACH = 0.0001, 1.0
_INTEGRAL_CALLS = 5.0  # more calls than that under or over do not make it faster
_CREW_HALF_LIFE_S = 300.0
_LOWEST, _HIGHEST = 0.13, 5.0  # of the cap


@dataclass(slots=True)
class Steering:
    """A controller with a proportional and an integral part on the log of theta, and a guard that it cannot overrule."""

    cap: float = 0.03
    agents: float = 0.0  # smoothed: one who comes or goes shall not change theta at that moment
    answered: int = 0
    abandoned: int = 0
    drift: float = 0.0

    def see(self, cap: float, agents: int, answered: int, abandoned: int, seconds: float) -> None:
        """The budget's two counts, so many seconds later. A new period begins when they fall."""
        new = max(0, answered - self.answered)
        self.cap, self.answered, self.abandoned = cap, answered, abandoned
        share = 1 - 0.5 ** (seconds / _CREW_HALF_LIFE_S) if self.agents else 1.0
        self.agents += share * (agents - self.agents)
        step = _INTEGRAL * max(-_INTEGRAL_CALLS, min(_INTEGRAL_CALLS, self.left))
        self.drift = max(-_INTEGRAL_REACH, min(_INTEGRAL_REACH, self.drift + new * step))

    @property
    def room(self) -> float:
        """Abandoned calls that the guard still allows."""
        first = max(_FIRST_ANSWERS, _FIRST_ANSWERS_OF_AGENT * self.agents)
        credit = _CREDIT * self.cap * max(0.0, first - self.answered)
        return self.cap * self.answered + credit - self.abandoned

    @property
    def reserve(self) -> float:
        """Abandoned calls that are aimed to be left."""
        few = min(_RESERVE_CALLS_AT_MOST, _RESERVE_CALLS + _RESERVE_CALLS_OF_AGENT * self.agents)
        return max(few, _RESERVE * self.cap * self.answered)

    @property
    def left(self) -> float:
        """Calls more (or fewer) than the reserve."""
        return self.room - self.reserve

    @property
    def theta(self) -> float:
        """The highest chance to be abandoned that a call may have; 0: none at all."""
        if self.room <= -min(_DEBT_CALLS, _DEBT_CALLS_OF_AGENT * self.agents):
            return 0.0
        push = min(_PROPORTIONAL_REACH, max(0.0, _PROPORTIONAL * self.left))
        care = math.pow(max(_LEAST_CARE, min(1.0, self.room / self.reserve)), _CARE_POWER)
        return care * max(_LOWEST * self.cap, min(_HIGHEST * self.cap, self.cap * math.exp(push + self.drift)))

    def to_state(self) -> dict[str, Any]:
        """As plain data."""
        return {"drift": self.drift, "agents": self.agents, "answered": self.answered}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where it was."""
        self.drift, self.agents, self.answered = float(state["drift"]), float(state["agents"]), int(state["answered"])

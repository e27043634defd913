"""A baseline: an adaptive dial level, written from what VICIdial's manual documents about its adaptive dial methods.

The manual (VICIDIAL Manager Manual: Auto Dial Level, Drop Percentage Limit, Maximum Adapt Dial Level, Dial Level Difference Target,
Adapt Intensity Modifier, Available Only Tally) says: lines = dial level x agents; the level is changed every 15 s so that on average as many agents wait
as the target says; more intensity changes it faster; with the hard limit the level falls to 1 as soon as the day's drop percentage
is over the limit, until it is under it again; the average method eases the level down instead;
with the tally of available agents only, lines = dial level x free agents. No code of it was read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dialer.domain.pacing import Decision, FlightState, Limit, Snapshot
from dialer.domain.states import AgentState

_EVERY_S = 15.0
_MEMORY_S = 60.0
_EASE = 0.02  # of the level, each time
_AT_WORK = (AgentState.READY, AgentState.RESERVED, AgentState.TALKING)


@dataclass(slots=True, kw_only=True)
class DialLevel:
    """Defaults as documented: 3 % drops, a level of at most 3, target 0, intensity 0 (here a factor of 1)."""

    drop_limit: float | None = None  # None: the cap
    highest: float = 3.0
    target: float = 0.0
    intensity: float = 1.0
    eases: bool = False  # the average method
    only_free: bool = False  # the tally
    level: float = field(default=1.0, init=False)
    _adapted_s: float = field(default=0.0, init=False)
    _seen_s: float = field(default=0.0, init=False)
    _difference: float = field(default=0.0, init=False)  # ready agents less waiting calls, of the last minute

    def decide(self, snapshot: Snapshot) -> Decision:
        """The lines that are missing."""
        if not snapshot.agents:
            return Decision(place=0, limited_by=Limit.NO_AGENTS)
        waiting = sum(state is FlightState.WAITING for _, state, _ in snapshot.in_flight)
        share = 1 - math.exp(-max(0.0, snapshot.at_s - self._seen_s) / _MEMORY_S)
        self._seen_s = snapshot.at_s
        self._difference += share * (snapshot.ready - waiting - self._difference)
        if snapshot.at_s - self._adapted_s >= _EVERY_S:
            self._adapted_s = snapshot.at_s
            self._adapt(snapshot)
        if self.only_free:
            wanted = math.floor(self.level * snapshot.ready + 1e-9)
            return Decision(place=max(0, wanted - len(snapshot.in_flight)), limited_by=Limit.AGENTS)
        at_work = [state for state, _ in snapshot.agents if state in _AT_WORK]
        lines = math.floor(self.level * len(at_work) + 1e-9)
        talking = len(at_work) - round(snapshot.ready)
        return Decision(place=max(0, lines - talking - len(snapshot.in_flight)), limited_by=Limit.AGENTS)

    def _adapt(self, snapshot: Snapshot) -> None:
        limit = snapshot.abandonment_cap if self.drop_limit is None else self.drop_limit
        step = self.intensity * (self._difference - self.target) / len(snapshot.agents)
        if snapshot.abandoned > limit * snapshot.answered:
            if not self.eases:
                self.level = 1.0
                return
            step = -_EASE * self.level
        self.level = min(self.highest, max(1.0, self.level + step))

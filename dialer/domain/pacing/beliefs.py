"""What the predictive policy believes about calls and agents, and how it learns it from what it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from dialer.domain.pacing.level import Level
from dialer.domain.pacing.lifetable import Array, LifeTable, bins_of
from dialer.domain.pacing.policy import Observation, Seen
from dialer.domain.pacing.profile import Context, Profile

RING_BINS, RING_BIN_S = 64, 1.0
TALK_BINS, TALK_BIN_S = 200, 3.0
WRAP_UP_BINS, WRAP_UP_BIN_S = 64, 1.0

_YOUNG = 150  # answers

_ANSWERED, _FAILED = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beliefs:
    """Chances for each bin of age, given that the bin was entered."""

    answered: Array  # ringing → answered, at level 1
    failed: Array  # ringing → ended without an answer
    talk_ended: Array
    wrap_up_ended: Array
    level: float = 1.0  # times `answered`: this part of the list
    doubt: float = 0.0  # relative standard error of the level
    human_share: float = 1.0  # of the answered, when machines are detected
    detection_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Running:
    """Ages of what runs now, in seconds."""

    ringing: Array
    talking: Array
    wrapping_up: Array


class Knowledge(Protocol):
    """Where beliefs come from: learned on the floor, or known (the simulator's bound)."""

    def enough(self, agents: int) -> bool:
        """It is known well enough to risk a call for these agents."""
        ...

    def move(self, context: Context) -> None:
        """Calls are dialled in this hour, from this list, over this trunk now."""
        ...

    def observe(self, observation: Observation) -> None:
        """One call or agent moved."""
        ...

    def pass_time(self, ringing: Array, seconds: float) -> None:
        """So much time passed for these ages."""
        ...

    def stale(self, at_s: float) -> bool:
        """It is worth asking for `beliefs` again."""
        ...

    def beliefs(self, at_s: float, running: Running) -> Beliefs:
        """As of now."""
        ...

    def to_state(self) -> dict[str, Any]:
        """What was learned, as plain data."""
        ...

    def restore(self, state: dict[str, Any], trust: float = 1.0) -> None:
        """Take it over."""
        ...


class Learned:
    """Learns; see `lifetable` and `level`."""

    def __init__(self) -> None:
        ring = np.zeros((2, RING_BINS))
        ring[_ANSWERED, 3:], ring[_FAILED, :] = 0.015, 0.03
        self._ring = LifeTable(width_s=RING_BIN_S, half_life=3_000, prior=ring.tolist(), prior_weight=15)
        self._talk = _handling(TALK_BIN_S, TALK_BINS, mean_s=75.0)
        self._wrap_up = _handling(WRAP_UP_BIN_S, WRAP_UP_BINS, mean_s=15.0)
        self._level = Level()
        self._profile = Profile()
        self._answers = 0
        self._answer_chance = ring[_ANSWERED]
        self._humans, self._machines, self._detection_s = 0.0, 0.0, 0.0
        self._made_at_s, self._made_from, self._made_with = float("-inf"), 0, 1.0

    def enough(self, agents: int) -> bool:
        """Most agents had a call: it takes a minute or two, and what is learned grows with what is at stake."""
        return self._answers >= max(3.0, min(40.0, 0.6 * agents)) and self._ring.count >= 15

    def move(self, context: Context) -> None:
        """Calls are dialled in this hour, from this list, over this trunk now."""
        if (times := self._profile.move(context)) != 1:
            self._level.shift(times)

    def observe(self, observation: Observation) -> None:
        """One call or agent moved."""
        match observation.seen:
            case Seen.ANSWERED:
                self._profile.ended(answered=True)
                self._ring.ended(_ANSWERED, observation.age_s)
                self._level.answered()
                self._answers += 1
            case Seen.FAILED:
                self._profile.ended(answered=False)
                self._ring.ended(_FAILED, observation.age_s)
            case Seen.CANCELED:
                self._ring.ended(None, observation.age_s)
            case Seen.TALK_ENDED:
                self._talk.ended(0, observation.age_s)
            case Seen.WRAP_UP_ENDED:
                self._wrap_up.ended(0, observation.age_s)
            case Seen.HUMAN | Seen.MACHINE:
                self._detected(observation)

    def _detected(self, observation: Observation) -> None:
        keep = 0.5 ** (1 / 500)
        human = observation.seen is Seen.HUMAN
        self._humans = self._humans * keep + human
        self._machines = self._machines * keep + (not human)
        share = max(0.02, 1 / (self._humans + self._machines))
        self._detection_s += share * (observation.age_s - self._detection_s)

    def pass_time(self, ringing: Array, seconds: float) -> None:
        """Answers come, or do not: both say something about the level."""
        if self._answers < _YOUNG:
            return  # the life table itself still follows each call
        bins = bins_of(ringing, RING_BIN_S, RING_BINS).astype(np.intp)
        self._level.expect(float(self._answer_chance[bins].sum()) * seconds / RING_BIN_S)

    def stale(self, at_s: float) -> bool:
        """Enough is new, or the level moved."""
        age_s, news = at_s - self._made_at_s, self._ring.count - self._made_from
        return (
            age_s >= 20
            or abs(self._level.value - self._made_with) > 0.05 * self._made_with
            or (age_s >= 2 and news > 0.1 * self._made_from)
        )

    def beliefs(self, at_s: float, running: Running) -> Beliefs:
        """As learned up to now."""
        answered, failed = self._ring.chances(running.ringing)
        self._answer_chance = answered
        self._made_at_s, self._made_from, self._made_with = at_s, self._ring.count, self._level.value
        detected = self._humans + self._machines
        return Beliefs(
            answered=answered,
            failed=failed,
            talk_ended=self._talk.chances(running.talking)[0],
            wrap_up_ended=self._wrap_up.chances(running.wrapping_up)[0],
            level=self._level.value,
            doubt=max(self._level.doubt, 1.5 / math.sqrt(self._answers + 1)),
            human_share=(self._humans + 1) / (detected + 1),
            detection_s=self._detection_s,
        )

    def to_state(self) -> dict[str, Any]:
        """All that was learned, as plain data."""
        return {
            "ring": self._ring.to_state(),
            "talk": self._talk.to_state(),
            "wrap_up": self._wrap_up.to_state(),
            "level": self._level.to_state(),
            "profile": self._profile.to_state(),
            "answers": self._answers,
            "detection": [self._humans, self._machines, self._detection_s],
        }

    def restore(self, state: dict[str, Any], trust: float = 1.0) -> None:
        """Take over what was learned. With less trust (another day, another list) it is a prior that gives way sooner."""
        self._ring.restore(state["ring"], trust)
        self._talk.restore(state["talk"], trust)
        self._wrap_up.restore(state["wrap_up"], trust)
        self._answers = int(state["answers"] * trust)
        if trust == 1.0:  # the level is that of an hour, not of a list
            self._level.restore(state["level"])
        self._profile.restore(state["profile"], same_run=trust == 1.0)
        humans, machines, self._detection_s = map(float, state["detection"])
        self._humans, self._machines = humans * trust, machines * trust


def _handling(width_s: float, bins: int, *, mean_s: float) -> LifeTable:
    return LifeTable(width_s=width_s, half_life=1_500, prior=[[width_s / (mean_s + width_s)] * bins], prior_weight=8)

"""Predictive dialling: as many calls as the abandonment budget allows, from the survival of calls and conversations.

A call more is worth placing while the chance that its answer would find nobody free stays below theta. docs/pacing.md explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import numpy as np

from dialer.domain.pacing.beliefs import RING_BINS, Knowledge, Learned, Running
from dialer.domain.pacing.costs import Costs
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.forecast import POINTS, Forecast, rows_of
from dialer.domain.pacing.lifetable import Array
from dialer.domain.pacing.policy import Decision, FlightState, Limit, Observation, Snapshot
from dialer.domain.pacing.steering import Steering
from dialer.domain.states import AgentState

_CALLS_FOR_AGENT = 15  # under way at most, even if nobody seems to answer: a list may come to life again at any moment
_BUSY = frozenset({AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP})
_NOTHING: Array = np.empty(0)
_ONE_TO_ONE = FixedRatio(calls_per_ready_agent=1.0)


class Predictive:
    """Decides for one project, and learns from what it is told."""

    def __init__(self, knowledge: Knowledge | None = None) -> None:
        self._knowledge = knowledge if knowledge is not None else Learned()
        self.steering = Steering()
        self._forecast: Forecast | None = None
        self._at_s: float | None = None
        self._theta = self.steering.theta

    def observe(self, observation: Observation) -> None:
        """One call or agent moved."""
        self._knowledge.observe(observation)

    def decide(self, snapshot: Snapshot) -> Decision:
        """The largest number of calls whose last one still costs no more than theta."""
        place, limit, cancel = self._decide(snapshot)
        if snapshot.budget is not None and place > snapshot.budget:
            place, limit = max(0, snapshot.budget), snapshot.budget_limit
        weighed = [("theta", self._theta), ("budget_left", self.steering.room)]
        if self._forecast is not None:
            weighed.append(("answer_level", self._forecast.level))
        return Decision(place=place, limited_by=limit, cancel=cancel, because=tuple(weighed))

    def _decide(self, snapshot: Snapshot) -> tuple[int, Limit, tuple[UUID, ...]]:
        ringing, detecting, waiting = _flying(snapshot)
        talking, wrapping_up, free = _at_work(snapshot.agents)
        running = Running(ringing, talking, wrapping_up)
        crew = len(talking) + len(wrapping_up) + free
        seconds = 0.0 if self._at_s is None else min(3.0, max(0.0, snapshot.at_s - self._at_s))
        self._at_s = snapshot.at_s
        self._knowledge.move(snapshot.context)
        self._knowledge.pass_time(ringing, seconds)
        careful = _ONE_TO_ONE.decide(snapshot)
        if not snapshot.counted:
            return careful.place, Limit.ABANDONMENT, ()
        self.steering.see(
            snapshot.at_s,
            seconds,
            snapshot.abandonment_cap,
            crew,
            snapshot.answered,
            snapshot.abandoned,
        )
        theta = self._theta = self.steering.theta
        if not crew or not self._knowledge.enough(crew):
            return careful.place, careful.limited_by, ()
        if theta <= 0:
            return careful.place, Limit.ABANDONMENT, ()
        if self._forecast is None or self._knowledge.stale(snapshot.at_s):
            self._forecast = Forecast(self._knowledge.beliefs(snapshot.at_s, running), snapshot.agent_wait_s)
        leaving = {n: left_s for n, left_s in snapshot.leaving if left_s <= self._forecast.horizons_s[-1]}
        if leaving:
            talking, wrapping_up, _ = _at_work(agent for n, agent in enumerate(snapshot.agents) if n not in leaving)
            running = Running(ringing, talking, wrapping_up)
        rows = rows_of(running, detecting)
        costs = Costs(self._forecast, rows, snapshot.ready - waiting, *_leaving(self._forecast, snapshot, leaving))
        at_most = _CALLS_FOR_AGENT * crew - len(snapshot.in_flight)
        place = costs.most(theta, at_most, self.steering.window_room)
        cancel: tuple[UUID, ...] = ()
        if place == 0 and snapshot.ready <= waiting and snapshot.cancel_after_s is not None:
            cancel = _too_many(costs, snapshot, theta)
        return max(place, careful.place), Limit.AGENTS, cancel

    def to_state(self) -> dict[str, Any]:
        """All that must survive a restart, as plain data."""
        return {"knowledge": self._knowledge.to_state(), "steering": self.steering.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any], trust: float = 1.0) -> Predictive:
        """Goes on where `to_state` left off.

        `trust` below 1 makes it a prior: what was learned on another day or list counts like so many times fewer calls, and the
        steering begins anew.
        """
        policy = cls()
        policy._knowledge.restore(state["knowledge"], trust)
        if trust == 1.0:
            policy.steering.restore(state["steering"])
        return policy


def _flying(snapshot: Snapshot) -> tuple[Array, Array, int]:
    ringing = [age for _, state, age in snapshot.in_flight if state is FlightState.PLACED]
    if len(ringing) == len(snapshot.in_flight):
        return np.array(ringing, dtype=np.float64), np.empty(0), 0
    detecting = [age for _, state, age in snapshot.in_flight if state is FlightState.DETECTING]
    return np.array(ringing), np.array(detecting), len(snapshot.in_flight) - len(ringing) - len(detecting)


def _at_work(agents: Iterable[tuple[AgentState, float]]) -> tuple[Array, Array, int]:
    """How long each has talked, how long each has wrapped up, and how many are free. Who is promised to a call begins to talk now."""
    talking, wrapping_up, free = [], [], 0
    for state, age in agents:
        if state is AgentState.TALKING:
            talking.append(age)
        elif state is AgentState.WRAP_UP:
            wrapping_up.append(age)
        elif state is AgentState.RESERVED:
            talking.append(0.0)
        elif state is AgentState.READY:
            free += 1
    return np.array(talking, dtype=np.float64), np.array(wrapping_up, dtype=np.float64), free


def _leaving(forecast: Forecast, snapshot: Snapshot, leaving: Mapping[int, float]) -> tuple[Array, Array]:
    """Of those who will leave: how many of the free ones are gone by each horizon, and the chances of each busy one to be free by it, and still there."""
    gone, chances = np.zeros(POINTS), []
    for n, left_s in leaving.items():
        state = snapshot.agents[n][0]
        there = forecast.horizons_s < left_s
        if state is AgentState.READY:
            gone += ~there
        elif state in _BUSY:
            talking, wrapping_up, _ = _at_work([snapshot.agents[n]])
            row = rows_of(Running(_NOTHING, talking, wrapping_up), _NOTHING)[0]
            chances.append(forecast.chances[row] * there)
    return gone, np.array(chances).reshape(-1, POINTS)


def _too_many(costs: Costs, snapshot: Snapshot, theta: float) -> tuple[UUID, ...]:
    """The oldest calls that rang long enough, until an answer would cost no more than theta again."""
    least = snapshot.cancel_after_s or 0.0
    ringing = [(age, attempt) for attempt, state, age in snapshot.in_flight if state is FlightState.PLACED]
    canceled = []
    for age, attempt in sorted(ringing, reverse=True):
        row = min(int(age), RING_BINS - 1)
        if age < least or costs.of_one_under_way(row) <= theta:
            break
        canceled.append(attempt)
        costs = costs.without(row)
    return tuple(canceled)

"""A floor, event by event: calls ring, are answered, find an agent or do not; agents talk, wrap up, leave. Driven by a real policy."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from uuid import UUID

from dialer.domain.pacing import FlightState, Learning, Mode, Observation, Policy, Seen, Snapshot
from dialer.domain.states import AgentState
from dialer.simulation.day import Day, by_quarter
from dialer.simulation.world import World

# Ids only have to differ among the calls of a moment.
_IDS = tuple(UUID(int=n) for n in range(1 << 14))
_PROJECT = UUID(int=0)
_READY, _TALKING, _WRAP_UP = AgentState.READY, AgentState.TALKING, AgentState.WRAP_UP
_PLACED, _DETECTING, _WAITING = FlightState.PLACED, FlightState.DETECTING, FlightState.WAITING

_Event = tuple[float, int, Callable[[int], None], int]


class Floor:
    """One day; `run` plays it."""

    def __init__(
        self, world: World, policy: Policy, random: Random, *, mode: Mode = Mode.PREDICTIVE, ratio: float = 1.0
    ) -> None:
        self._world, self._policy, self._random = world, policy, random
        self._mode, self._ratio = mode, ratio
        self._learn = policy.observe if isinstance(policy, Learning) else None
        self._at_s = 0.0
        self._events: list[_Event] = []
        self._sequence = 0
        self._flying: dict[int, tuple[FlightState, float]] = {}
        self._waiting: deque[int] = deque()
        self._ready: deque[int] = deque(range(world.agents))  # longest idle first
        self._agents: list[tuple[AgentState, float]] = [(_READY, 0.0)] * world.agents
        self._leaves = [world.end_s] * world.agents
        if world.leaving is not None:
            share, start_s, within_s = world.leaving
            going = int(share * world.agents)
            for n in range(going):
                self._leaves[n] = start_s + within_s * n / going
                self._push(self._leaves[n], self._leave, n)
        self._talking = 0
        self._decided_s = float("-inf")
        self.day = Day(hours=world.hours)

    def run(self) -> Day:
        """From the first second to the last."""
        world, events, day = self._world, self._events, self.day
        tick_s, end_s = 0.0, world.end_s
        while True:
            if events and events[0][0] < tick_s:
                self._at_s, _, act, which = heapq.heappop(events)
                act(which)
                continue
            if tick_s >= end_s:
                break
            self._at_s = tick_s
            self._decide()
            tick_s += world.tick_s
        self._at_s = end_s
        for state, since_s in self._agents:
            if state is not AgentState.LOGGED_OUT:
                self._spent(state, since_s)
                self._sat()
        return day

    def _push(self, at_s: float, act: Callable[[int], None], which: int) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (at_s, self._sequence, act, which))

    # ---------------------------------------------------------------- calls

    def _decide(self) -> None:
        self._decided_s = self._at_s
        decision = self._policy.decide(self.snapshot())
        for attempt in decision.cancel:
            self._cancel(attempt)
        place = decision.place
        if (budget := self._budget()) is not None:
            place = min(place, budget)
        for _ in range(place):
            self._place()

    def snapshot(self) -> Snapshot:
        """As the engine would take it."""
        at_s, world = self._at_s, self._world
        return Snapshot(
            project_id=_PROJECT,
            at_s=at_s,
            mode=self._mode,
            ratio=self._ratio,
            agents=tuple(
                [(state, at_s - since) for state, since in self._agents if state is not AgentState.LOGGED_OUT]
                if world.leaving is None
                else self._as_they_will_stay()
            ),
            ready=len(self._ready),
            in_flight=tuple([(_IDS[n & 0x3FFF], state, at_s - since) for n, (state, since) in self._flying.items()]),
            abandonment_cap=world.cap,
            agent_wait_s=world.agent_wait_s,
            answered=self.day.answered,
            abandoned=self.day.abandoned,
            budget=self._budget(),
            cancel_after_s=world.cancel_after_s,
            leaving=self._known_to_leave(),
            ring_timeout_s=world.ring_timeout_s,
            context=(("hour", str(int(at_s // 3600))),),
        )

    def _as_they_will_stay(self) -> list[tuple[AgentState, float]]:
        """Who is to leave after the present call is as on a break."""
        return [
            (state if leaves_s > self._at_s or state is _READY else AgentState.BREAK, self._at_s - since_s)
            for leaves_s, (state, since_s) in zip(self._leaves, self._agents, strict=True)
            if state is not AgentState.LOGGED_OUT
        ]

    def _known_to_leave(self) -> tuple[tuple[int, float], ...]:
        if self._world.leaving is None or not self._world.leaving_known:
            return ()
        here = [
            left_s - self._at_s
            for left_s, (state, _) in zip(self._leaves, self._agents, strict=True)
            if state is not AgentState.LOGGED_OUT
        ]
        end_s = self._world.end_s - self._at_s
        return tuple((n, left_s) for n, left_s in enumerate(here) if left_s < end_s)

    def _budget(self) -> int | None:
        world = self._world
        left = [] if world.leads is None else [world.leads - self.day.placed]
        if world.channels is not None:
            left.append(world.channels - len(self._flying) - self._talking)
        return max(0, min(left)) if left else None

    def _place(self) -> None:
        world, random, day = self._world, self._random, self.day
        attempt = day.placed
        day.placed += 1
        quality = world.quality[(attempt // world.quality_block) % len(world.quality)]
        at = random.random()
        answer = world.answer.at(self._at_s) * quality
        self._flying[attempt] = (_PLACED, self._at_s)
        if at < answer:
            self._push(self._at_s + world.ring.draw(random), self._answered, attempt)
        elif at < answer + world.quick_failure:
            self._push(self._at_s + world.quick_failure_s.draw(random), self._failed, attempt)
        else:
            self._push(self._at_s + world.ring_timeout_s, self._failed, attempt)

    def _failed(self, attempt: int) -> None:
        if (call := self._flying.pop(attempt, None)) is not None:
            self._tell(Seen.FAILED, call[1])
            self._wake()

    def _cancel(self, attempt_id: UUID) -> None:
        for attempt, (state, since_s) in self._flying.items():
            if state is _PLACED and _IDS[attempt & 0x3FFF] == attempt_id:
                del self._flying[attempt]
                self._tell(Seen.CANCELED, since_s)
                self.day.canceled += 1
                return

    def _answered(self, attempt: int) -> None:
        if attempt not in self._flying:
            return
        self._tell(Seen.ANSWERED, self._flying[attempt][1])
        if self._world.machines <= 0:
            self._wants_agent(attempt)
        else:
            self._flying[attempt] = (_DETECTING, self._at_s)
            self._push(self._at_s + self._world.detection_s, self._detected, attempt)

    def _detected(self, attempt: int) -> None:
        since_s = self._flying[attempt][1]
        if self._random.random() < self._world.machines:
            self._tell(Seen.MACHINE, since_s)
            del self._flying[attempt]
            self.day.machines += 1
            self._wake()
        else:
            self._tell(Seen.HUMAN, since_s)
            self._wants_agent(attempt)

    def _wants_agent(self, attempt: int) -> None:
        if self._ready:
            del self._flying[attempt]
            self._bridge(self._ready.popleft())
        else:
            self._flying[attempt] = (_WAITING, self._at_s)
            self._waiting.append(attempt)
            self._push(self._at_s + self._world.agent_wait_s, self._waited_out, attempt)

    def _waited_out(self, attempt: int) -> None:
        if self._flying.pop(attempt, None) is not None:
            self._waiting.remove(attempt)
            self.day.answer(self._at_s, abandoned=True)

    # --------------------------------------------------------------- agents

    def _bridge(self, agent: int) -> None:
        world = self._world
        self._become(agent, _TALKING)
        self._talking += 1
        self.day.answer(self._at_s, abandoned=False)
        talk_s = world.talk.draw(self._random) * world.talk_factor.at(self._at_s)
        self._push(self._at_s + talk_s, self._hung_up, agent)

    def _hung_up(self, agent: int) -> None:
        self._tell(Seen.TALK_ENDED, self._agents[agent][1])
        self._talking -= 1
        self._become(agent, _WRAP_UP)
        self._push(self._at_s + self._world.wrap_up.draw(self._random), self._wrapped_up, agent)

    def _wrapped_up(self, agent: int) -> None:
        self._tell(Seen.WRAP_UP_ENDED, self._agents[agent][1])
        self._become(agent, _READY)
        if self._at_s >= self._leaves[agent]:
            self._log_out(agent)
        elif self._waiting:
            attempt = self._waiting.popleft()
            del self._flying[attempt]
            self._bridge(agent)
        else:
            self._ready.append(agent)
            self._wake()

    def _leave(self, agent: int) -> None:
        if self._agents[agent][0] is _READY:
            self._ready.remove(agent)
            self._log_out(agent)

    def _log_out(self, agent: int) -> None:
        self._become(agent, AgentState.LOGGED_OUT)
        self._sat()

    def _sat(self) -> None:
        self.day.logged_in_s += self._at_s
        by_quarter(self.day.seated_s, 0.0, self._at_s)

    def _become(self, agent: int, state: AgentState) -> None:
        self._spent(*self._agents[agent])
        self._agents[agent] = (state, self._at_s)

    def _spent(self, state: AgentState, since_s: float) -> None:
        if state is _TALKING:
            self.day.talk_s += self._at_s - since_s
        elif state is _WRAP_UP:
            self.day.wrap_up_s += self._at_s - since_s
        else:
            return
        by_quarter(self.day.worked_s, since_s, self._at_s)

    def _tell(self, seen: Seen, since_s: float) -> None:
        if self._learn is not None:
            self._learn(Observation(seen, self._at_s - since_s))

    def _wake(self) -> None:
        if self._at_s - self._decided_s >= self._world.least_gap_s:
            self._decide()

"""The agents who are logged in: every event goes through the table; limits in time (wrap-up, preview) are kept here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from dialer.db.agents import AgentChange
from dialer.domain.agent_table import AGENT_TABLE, AgentEvent
from dialer.domain.machine import Kind
from dialer.domain.states import AgentState
from dialer.engine.clock import Clock
from dialer.engine.floor import Agent, Call, Floor
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.publishing import Publishing

_log = structlog.get_logger(__name__)

_WITH_WORK = {AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP}


class Agents:
    """Applies events to agents. `on_ready` is told when an agent can take a call, `on_seat_needed` when one must be called,
    `on_left` when one leaves a state, with the state and the seconds spent in it.
    """

    def __init__(
        self, node: str, floor: Floor, journal: Journal, publishing: Publishing, metrics: Metrics, clock: Clock
    ) -> None:
        self._node = node
        self._floor = floor
        self._journal = journal
        self._publishing = publishing
        self._metrics = metrics
        self._clock = clock
        self.on_ready: list[Callable[[Agent], None]] = []
        self.on_seat_needed: list[Callable[[Agent], None]] = []
        self.on_logged_out: list[Callable[[Agent], None]] = []
        self.on_left: list[Callable[[Agent, AgentState, float], None]] = []

    def apply(self, agent: Agent, event: AgentEvent) -> bool:
        """What the table says; True when the agent moved."""
        step = AGENT_TABLE.step(agent.state, event)
        if step.kind is not Kind.MOVE:
            of = self._metrics.stragglers if step.kind is Kind.STRAGGLER else self._metrics.illegal
            of.labels(of="agent").inc()
            if step.kind is Kind.ILLEGAL:
                _log.error(
                    "Illegal event for an agent", agent_id=str(agent.agent_id), state=agent.state, agent_event=event
                )
            return False
        self.stop_timer(agent)
        self._metrics.agents.labels(state=agent.state.value).dec()
        former, spent_s = agent.state, self._enter(agent, step.state)
        for tell_left in self.on_left:
            tell_left(agent, former, spent_s)
        self._metrics.agents.labels(state=agent.state.value).inc()
        if agent.state not in _WITH_WORK and agent.state is not AgentState.PREVIEW:
            agent.attempt_id = agent.project_id = agent.lead_id = None
        if agent.state is not AgentState.PREVIEW:
            agent.shown = None
        self.changed(agent)
        match agent.state:
            case AgentState.READY:
                for tell in self.on_ready:
                    tell(agent)
            case AgentState.SEATING:
                for tell in self.on_seat_needed:
                    tell(agent)
            case AgentState.LOGGED_OUT:
                self._floor.agents.pop(agent.agent_id, None)
                for tell in self.on_logged_out:
                    tell(agent)
            case _:
                pass
        return True

    def _enter(self, agent: Agent, state: AgentState) -> float:
        """The seconds spent in the state before."""
        spent_s = self._clock.monotonic() - agent.since_s
        promised = (agent.state, state) == (AgentState.READY, AgentState.RESERVED)
        agent.state, agent.since, agent.since_s = state, self._clock.now(), self._clock.monotonic()
        if not promised:
            agent.waits_since = agent.since
        return spent_s

    def changed(self, agent: Agent) -> None:
        """Write and show what the agent does now."""
        self._journal.agent(
            AgentChange(
                agent_id=agent.agent_id,
                node=self._node,
                state=agent.state,
                since=agent.since,
                device_id=agent.device_id,
                wanted=agent.wanted,
                reason=agent.reason if agent.state is AgentState.BREAK else None,
                seat_channel=agent.seat.channel_id if agent.seat else None,
                attempt_id=agent.attempt_id,
                project_id=agent.project_id,
                logged_in_at=agent.logged_in_at,
            )
        )
        self._publishing.agent(agent)

    def left_behind(self, agent_id: UUID, logged_in_at: datetime) -> None:
        """Somebody whom another run had logged in and this one cannot take over: logged out."""
        self._journal.agent(
            AgentChange(
                agent_id=agent_id,
                node=self._node,
                state=AgentState.LOGGED_OUT,
                since=self._clock.now(),
                logged_in_at=logged_in_at,
            )
        )
        self._publishing.value("agent", str(agent_id), None)

    def settle(self, agent: Agent) -> None:
        """The present work is done: go where the agent wants to be. Without a line they are called first."""
        if agent.wanted == "logged_out":
            self.apply(agent, AgentEvent.LOGOUT)
        elif not agent.seated:
            lost = AgentEvent.LOGIN if agent.state is AgentState.WRAP_UP else AgentEvent.SEAT_LOST
            self.apply(agent, lost)
        elif agent.wanted == "ready":
            self.apply(agent, AgentEvent.READY)
        else:
            self.apply(agent, AgentEvent.BREAK)

    def promise(self, agent: Agent, call: Call) -> None:
        """This call is this agent's; in one breath with the choice."""
        if AGENT_TABLE.step(agent.state, AgentEvent.RESERVED).kind is not Kind.MOVE:
            raise RuntimeError(f"agent {agent.agent_id} was promised twice")
        self.take(agent, call)
        self.apply(agent, AgentEvent.RESERVED)

    def release(self, agent: Agent, attempt_id: UUID) -> None:
        """A promise that came to nothing is taken back; it costs the agent nothing of the time they have waited."""
        if agent.state is AgentState.RESERVED and agent.attempt_id == attempt_id:
            waits_since = agent.waits_since
            self.settle(agent)
            agent.waits_since = waits_since

    def take(self, agent: Agent, call: Call) -> None:
        """Note on both sides whose call it is."""
        agent.attempt_id, agent.project_id, agent.lead_id = call.attempt_id, call.project_id, call.lead_id
        call.agent_id, call.device_id = agent.agent_id, agent.device_id

    def start_timer(self, agent: Agent, seconds: float, when_over: Callable[[Agent], None]) -> None:
        """A limit for the present state; leaving the state stops it."""
        self.stop_timer(agent)
        agent.timer_until = self._clock.now() + timedelta(seconds=seconds)
        agent.timer = asyncio.get_running_loop().call_later(seconds, self._over, agent, when_over)
        self._publishing.agent(agent)

    def stop_timer(self, agent: Agent) -> None:
        """No limit any more."""
        if agent.timer is not None:
            agent.timer.cancel()
        agent.timer = agent.timer_until = None

    def _over(self, agent: Agent, when_over: Callable[[Agent], None]) -> None:
        agent.timer = agent.timer_until = None
        when_over(agent)

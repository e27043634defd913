"""Logging in and out, ready and break."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from dialer.db import agents as agents_db
from dialer.db import devices as devices_db
from dialer.domain.agent_table import AgentEvent
from dialer.domain.commands import AgentBreak, AgentLogin, AgentLogout, AgentReady, Done
from dialer.domain.errors import Conflict, NotFound
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.clock import Clock
from dialer.engine.desk.previewing import Previewing
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Agent, Floor

_AT_WORK = {AgentState.SEATING, AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP}
_LONGEST_REASON = 40


class Presence:
    """What an agent wants; applied at once when idle, after the present work when not."""

    def __init__(
        self, node: str, pool: asyncpg.Pool, floor: Floor, agents: Agents, previewing: Previewing, clock: Clock
    ) -> None:
        self._node = node
        self._pool = pool
        self._floor = floor
        self._agents = agents
        self._previewing = previewing
        self._clock = clock

    async def login(self, command: AgentLogin) -> Done:
        """Errors: NotFound `agent_unknown`, `device_unknown`; Conflict `already_logged_in` (at another device or on another node), `device_elsewhere`."""
        if (there := self._floor.agents.get(command.agent_id)) is not None:
            if there.device_id != command.device_id:
                raise Conflict("already_logged_in", "You are logged in at another device. Log out there first.")
            return self._want(there, command.wanted)
        with client_errors():
            async with self._pool.acquire(timeout=5) as conn:
                person = await agents_db.get_agent(conn, command.agent_id)
                device = await devices_db.get_device(conn, command.device_id)
                elsewhere = await agents_db.other_node_of(conn, command.agent_id, self._node)
        if device.agent_id != person.id or device.removed_at is not None:
            raise NotFound("device_unknown", "This agent has no such device.")
        if device.node != self._node:
            raise Conflict("device_elsewhere", f"This device belongs to the node {device.node}.", node=device.node)
        if elsewhere is not None:
            message = f"You are logged in on the node {elsewhere}. Log out there first."
            raise Conflict("already_logged_in", message, node=elsewhere)
        if command.agent_id in self._floor.agents:
            raise Conflict("already_logged_in", "You have just logged in.")
        now = self._clock.now()
        agent = Agent(
            agent_id=person.id,
            device_id=device.id,
            device_username=device.username,
            project_ids=frozenset(person.project_ids),
            priorities=person.priorities,
            skills=frozenset(person.skills),
            logged_in_at=now,
            since=now,
            since_s=self._clock.monotonic(),
            waits_since=now,
            wanted=command.wanted,
        )
        self._floor.agents[agent.agent_id] = agent
        self._agents.apply(agent, AgentEvent.LOGIN)
        return Done(state=agent.state.value)

    def logout(self, command: AgentLogout) -> Done:
        """At once when idle; one who is not logged in stays so."""
        agent = self._floor.agents.get(command.agent_id)
        if agent is None:
            return Done(state=AgentState.LOGGED_OUT.value)
        if agent.state is AgentState.SEATING:
            agent.wanted = "logged_out"
            self._agents.apply(agent, AgentEvent.LOGOUT)
            return Done(state=agent.state.value)
        return self._want(agent, "logged_out")

    def ready(self, command: AgentReady) -> Done:
        """Errors: NotFound `agent_not_logged_in`."""
        return self._want(logged_in(self._floor, command.agent_id), "ready")

    def pause(self, command: AgentBreak) -> Done:
        """Errors: NotFound `agent_not_logged_in`."""
        agent = logged_in(self._floor, command.agent_id)
        agent.reason = command.reason[:_LONGEST_REASON]
        return self._want(agent, "break")

    def device_removed(self, device_id: UUID) -> list[UUID]:
        """Whoever sits there can only log out from now on. Gives the agents, at most one."""
        seated = [agent for agent in self._floor.agents.values() if agent.device_id == device_id]
        for agent in seated:
            agent.device_removed = True
        return [agent.agent_id for agent in seated]

    def _want(self, agent: Agent, wanted: str) -> Done:
        agent.wanted = wanted = "logged_out" if agent.device_removed else wanted
        if agent.state in _AT_WORK:
            self._agents.changed(agent)
        else:
            self._previewing.leave(agent)
            if agent.state.value == wanted:
                self._agents.changed(agent)
            else:
                self._agents.settle(agent)
        return Done(state=agent.state.value, attempt_id=agent.attempt_id)


def logged_in(floor: Floor, agent_id: object) -> Agent:
    """The agent on the floor. Errors: NotFound `agent_not_logged_in`."""
    agent = floor.agents.get(agent_id)  # type: ignore[call-overload]
    if agent is None:
        raise NotFound("agent_not_logged_in", "This agent is not logged in on this node. Log in first.")
    found: Agent = agent
    return found

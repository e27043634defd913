"""The agents whom another run of this engine had logged in: their rows, before the channels are looked at."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from dialer.db import agents as agents_db
from dialer.db import devices as devices_db
from dialer.db.agents import AgentLive
from dialer.domain.ids import seat_of_channel
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.clock import Clock
from dialer.engine.floor import Agent, Floor, Seat
from dialer.engine.metrics import Metrics

_LONG_AGO_S = 1e-9

_AS_THEY_WERE = {AgentState.TALKING, AgentState.WRAP_UP, AgentState.RESERVED, AgentState.SEATING}


async def adopt_agents(
    pool: asyncpg.Pool, node: str, floor: Floor, agents: Agents, metrics: Metrics, clock: Clock
) -> list[Agent]:
    """Put them on the floor as they were, and log out whoever has no device any more; whether their seats and calls still live is found out by reconciliation."""
    async with pool.acquire(timeout=5) as conn:
        rows = await agents_db.live_of_node(conn, node)
        known = {agent.id: agent for agent in await agents_db.list_agents(conn)} if rows else {}
        devices = {device.id: device for device in await devices_db.devices_of_node(conn, node)} if rows else {}
    adopted = []
    for row in rows:
        device = devices.get(row.device_id) if row.device_id else None
        person = known.get(row.agent_id)
        if device is None or person is None:
            agents.left_behind(row.agent_id, row.logged_in_at)  # the device was removed
            continue
        if row.agent_id in floor.agents:
            continue
        agent = _agent(row, device.username, device.id, person, clock)
        floor.agents[agent.agent_id] = agent
        if row.seat_channel and seat_of_channel(row.seat_channel):
            agent.seat = Seat(channel_id=row.seat_channel, asked_s=_LONG_AGO_S)
            floor.seats[row.seat_channel] = agent
        metrics.agents.labels(state=agent.state.value).inc()
        metrics.reconciled.labels(what="agent_adopted").inc()
        agents.changed(agent)
        adopted.append(agent)
    return adopted


def _agent(row: AgentLive, username: str, device_id: UUID, person: agents_db.Agent, clock: Clock) -> Agent:
    state = AgentState(row.state)
    if state not in _AS_THEY_WERE:
        # A lead that was shown is back in its list by now.
        state = AgentState.READY if row.wanted == "ready" and state is AgentState.READY else AgentState.BREAK
    working = state in _AS_THEY_WERE
    age_s = max(0.0, (clock.now() - row.since).total_seconds())
    return Agent(
        agent_id=row.agent_id,
        device_id=device_id,
        device_username=username,
        project_ids=frozenset(person.project_ids),
        priorities=person.priorities,
        skills=frozenset(person.skills),
        logged_in_at=row.logged_in_at,
        since=row.since,
        since_s=clock.monotonic() - age_s,
        waits_since=row.since,
        state=state,
        wanted=row.wanted,
        reason=row.reason,
        attempt_id=row.attempt_id if working else None,
        project_id=row.project_id if working else None,
        lead_id=row.lead_id if working else None,
    )

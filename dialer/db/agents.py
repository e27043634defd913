"""Agents: who they are, what each does now (one row while logged in), and what they did (one row for each stay in a state)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from dialer.db.sql import Connection
from dialer.domain.errors import NotFound
from dialer.domain.states import AgentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent and the projects whose calls they get, with the priority each has for them. `number` is the staff number (工号)."""

    id: UUID
    user_id: UUID
    number: str
    display_name: str
    skills: tuple[str, ...]
    priorities: Mapping[UUID, int]

    @property
    def project_ids(self) -> tuple[UUID, ...]:
        """The projects whose calls they get."""
        return tuple(self.priorities)


_AGENTS = """
select a.id, a.user_id, a.number, a.display_name, a.skills,
       coalesce(s.project_ids, '{}') as project_ids, coalesce(s.priorities, '{}') as priorities
from agents a
left join (select agent_id, array_agg(project_id order by project_id) as project_ids, array_agg(priority order by project_id) as priorities
           from serving where $1::uuid is null or agent_id = $1 group by agent_id) s on s.agent_id = a.id
where $1::uuid is null or a.id = $1
order by a.number
"""


async def list_agents(conn: Connection) -> list[Agent]:
    """All agents by staff number."""
    return [_agent(row) for row in await conn.fetch(_AGENTS, None)]


async def get_agent(conn: Connection, agent_id: UUID) -> Agent:
    """One agent. Errors: NotFound `agent_unknown`."""
    row = await conn.fetchrow(_AGENTS, agent_id)
    if row is None:
        raise NotFound("agent_unknown", "There is no such agent.")
    return _agent(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """An agent came into a state at `since`. LOGGED_OUT ends the row of `agent_live` and begins no new stay.

    `wanted`: where to go when the present work is done. `attempt_id`, `project_id`: the call and the project the stay belongs to.
    """

    agent_id: UUID
    node: str
    state: AgentState
    since: datetime
    logged_in_at: datetime
    wanted: str = "break"
    reason: str | None = None
    device_id: UUID | None = None
    seat_channel: str | None = None
    attempt_id: UUID | None = None
    project_id: UUID | None = None


_SAVE = """
with
given as materialized (
    select i.*, row_number() over (partition by i.agent_id order by i.place desc) as from_last,
           lead(i.since) over (partition by i.agent_id order by i.place) as until
    from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::uuid[], $9::text[],
                $10::uuid[], $11::uuid[]) with ordinality
         i (agent_id, node, state, since, logged_in_at, wanted, reason, device_id, seat_channel, attempt_id, project_id, place)
),
kept as materialized (      -- what lasted no time at all is no stay, nor what a clock that was set back makes end before it began
    select distinct on (agent_id, since) agent_id, state, reason, project_id, attempt_id, since, until
    from given where state <> 'logged_out' and (until is null or until > since)
    order by agent_id, since, place desc
),
closed as (                 -- the stay each agent was in ends when the first news begins, unless it is one of these: the batch comes again
    update agent_times t
    set ended_at = greatest(t.began_at, f.since)
    from (select distinct on (agent_id) agent_id, since from given order by agent_id, place) f
    where t.agent_id = f.agent_id and t.ended_at is null
      and not exists (select from kept k where k.agent_id = t.agent_id and k.since = t.began_at)
    returning t.id
),
stays as (
    insert into agent_times (agent_id, state, reason, project_id, attempt_id, began_at, ended_at)
    select k.agent_id, k.state, k.reason, k.project_id, k.attempt_id, k.since, k.until
    from kept k cross join (select count(*) from closed) after_closing
    order by k.agent_id, k.until nulls last     -- whoever is still open is closed before the next is opened
    on conflict (agent_id, began_at) do update
    set state = excluded.state, reason = excluded.reason, project_id = excluded.project_id, attempt_id = excluded.attempt_id, ended_at = excluded.ended_at
),
gone as (
    delete from agent_live l using given g where l.agent_id = g.agent_id and g.from_last = 1 and g.state = 'logged_out'
)
insert into agent_live (agent_id, node, device_id, state, wanted, reason, seat_channel, attempt_id, since, logged_in_at)
select agent_id, node, device_id, state, wanted, reason, seat_channel, attempt_id, since, logged_in_at
from given where from_last = 1 and state <> 'logged_out'
on conflict (agent_id) do update
set node = excluded.node, device_id = excluded.device_id, state = excluded.state, wanted = excluded.wanted, reason = excluded.reason,
    seat_channel = excluded.seat_channel, attempt_id = excluded.attempt_id, since = excluded.since, logged_in_at = excluded.logged_in_at
"""


async def save_changes(conn: Connection, batch: Sequence[AgentChange]) -> None:
    """Write what agents did, in the order they did it: where they are now, and the stays that ended with it. May be repeated."""
    if not batch:
        return
    columns: list[list[Any]] = [
        [change.agent_id for change in batch],
        [change.node for change in batch],
        [change.state.value for change in batch],
        [change.since for change in batch],
        [change.logged_in_at for change in batch],
        [change.wanted for change in batch],
        [change.reason for change in batch],
        [change.device_id for change in batch],
        [change.seat_channel for change in batch],
        [change.attempt_id for change in batch],
        [change.project_id for change in batch],
    ]
    await conn.execute(_SAVE, *columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLive:
    """Where an agent who is logged in was, when it was last written."""

    agent_id: UUID
    node: str
    device_id: UUID | None
    state: AgentState
    wanted: str
    reason: str | None
    seat_channel: str | None
    attempt_id: UUID | None
    project_id: UUID | None
    lead_id: int | None
    since: datetime
    logged_in_at: datetime


_LIVE = """
select l.agent_id, l.node, l.device_id, l.state, l.wanted, l.reason, l.seat_channel, l.attempt_id, a.project_id, a.lead_id, l.since, l.logged_in_at
from agent_live l left join attempts a on a.id = l.attempt_id
where $1::text is null or l.node = $1
order by l.agent_id
"""


async def live_of_node(conn: Connection, node: str | None = None) -> list[AgentLive]:
    """The agents logged in on a node (None: on all nodes); what a restarted engine compares with the seats in Asterisk."""
    return [AgentLive(**{**row, "state": AgentState(row["state"])}) for row in await conn.fetch(_LIVE, node)]


_OTHER_NODE = """
select l.node from agent_live l join nodes n on n.name = l.node
where l.agent_id = $1 and l.node <> $2 and n.lease_until > clock_timestamp()
"""


async def other_node_of(conn: Connection, agent_id: UUID, node: str) -> str | None:
    """Where an agent is logged in, if that is another node whose engine lives."""
    found: str | None = await conn.fetchval(_OTHER_NODE, agent_id, node)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """From when to when an agent was in a state; `ended_at` None: still."""

    state: AgentState
    reason: str | None
    project_id: UUID | None
    attempt_id: UUID | None
    began_at: datetime
    ended_at: datetime | None


_STAYS = """
select state, reason, project_id, attempt_id, began_at, ended_at from agent_times
where agent_id = $1 and began_at < $3 and coalesce(ended_at, 'infinity') > $2
order by began_at
"""


async def stays(conn: Connection, agent_id: UUID, since: datetime, until: datetime) -> list[Stay]:
    """An agent's stays that touch a period, in order."""
    return [
        Stay(**{**row, "state": AgentState(row["state"])}) for row in await conn.fetch(_STAYS, agent_id, since, until)
    ]


def _agent(row: asyncpg.Record) -> Agent:
    return Agent(
        id=row["id"],
        user_id=row["user_id"],
        number=row["number"],
        display_name=row["display_name"],
        skills=tuple(row["skills"]),
        priorities=dict(zip(row["project_ids"], row["priorities"], strict=True)),
    )

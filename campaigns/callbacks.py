"""Callbacks that are due: personal ones belong to the agent who promised, shared ones to whoever is free. Dialled by `claim_number(lead_id=...)`.

Read for those who could keep them, so that the callbacks of an agent who is away stand in nobody's way; and what may not be dialled now is put off
before any agent is reserved for it, by the table of the claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from campaigns.claim_sql import BLOCKED, FULL, LEAVES, OUT_OF_SAMPLE, PROJECT, PUT_ASIDE, PUT_OFF, RULES
from campaigns.openings import Openings
from campaigns.sql import Connection
from campaigns.states import DialMode

_NOBODY: Final = UUID(int=0)
_OF_ONE: Final = 5
_SHARED: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A promise to call at `due_at`; `agent_id` is None when any agent of the project may keep it; `zone` is '' when it is not known."""

    lead_id: int
    project_id: UUID
    agent_id: UUID | None
    zone: str
    due_at: datetime


_DUE = """
select l.id as lead_id, l.project_id, l.callback_agent_id as agent_id, l.zone, l.next_at as due_at
from unnest($1::uuid[], $2::uuid[], $3::integer[]) line (project_id, agent_id, places)
cross join lateral (
    select l.id, l.project_id, l.callback_agent_id, coalesce(l.zone, '') as zone, l.next_at
    from leads l
    where l.project_id = line.project_id and coalesce(l.callback_agent_id, '00000000-0000-0000-0000-000000000000') = line.agent_id
      and l.state = 'callback' and l.next_at <= $4
    order by l.next_at
    limit line.places
) l
order by l.next_at, l.id
"""


async def due_callbacks(
    conn: Connection, *, lines: Iterable[tuple[UUID, UUID | None]], now: datetime
) -> list[Callback]:
    """The first callbacks of each line that should have been made by `now`, the most overdue first.

    A line is a project and the agent who promised, or None for those that anybody may keep. Reads only: claiming one decides who makes it.
    """
    asked = list(dict.fromkeys(lines))
    rows = await conn.fetch(
        _DUE,
        [project_id for project_id, _ in asked],
        [agent_id or _NOBODY for _, agent_id in asked],
        [_SHARED if agent_id is None else _OF_ONE for _, agent_id in asked],
        now,
    )
    return [Callback(**row) for row in rows]


_PUT_OFF = f"""
with
project as (
    {PROJECT}
      and ($7::uuid is null or exists (select from nodes n where n.name = $6 and n.holder = $7 and n.lease_until > clock_timestamp()))
),
{RULES}
front as materialized (
    select l.id, l.number, l.region, l.dialled, coalesce(l.zone, '') as zone
    from leads l
    where l.id = any ($3::bigint[]) and l.project_id = $1 and l.state = 'callback' and l.next_at <= $2
    order by l.id
    for no key update skip locked
),
judged as materialized (
    select f.id, shut.opens, coalesce(case when {OUT_OF_SAMPLE} then 'not_in_sample' when shut.zone is not null then 'outside_window' end, gate.blocked) as blocked
    from front f cross join project p cross join caps
    left join unnest($4::text[], $5::timestamptz[]) shut (zone, opens) on shut.zone = f.zone
    left join lateral (select {BLOCKED.format(exhausted="f.dialled >= caps.attempts", full=FULL)}) gate on true
),
moved as (
    update leads l
    set state = {PUT_ASIDE},
        next_at = case when {LEAVES} then l.next_at when j.blocked = 'outside_window' then j.opens else {PUT_OFF} end
    from judged j cross join project p
    where l.id = j.id and j.blocked is not null
)
select id from judged where blocked is null
"""  # noqa: S608 -- constants


async def put_off(
    conn: Connection,
    due: Sequence[Callback],
    *,
    project_id: UUID,
    mode: DialMode,
    openings: Openings,
    node: str,
    holder: UUID | None,
    now: datetime,
) -> list[Callback]:
    """Those of a project's due callbacks that may be dialled now; the others come when they may be, or leave for good, as the claim would have it.

    `holder` is the engine run that asks: when it does not hold the node at that moment, nothing may be dialled and nothing is put off. None: not asked.
    """
    shut = {zone: opens for zone in {one.zone for one in due} if (opens := openings.ask(zone)) is not None}
    ids = [one.lead_id for one in due]
    rows = await conn.fetch(_PUT_OFF, project_id, now, ids, list(shut), list(shut.values()), node, holder, mode.value)
    free = {row["id"] for row in rows}
    return [one for one in due if one.lead_id in free]

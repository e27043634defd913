"""Whose callbacks are still to be made, and giving them to somebody else: for people, who ask for whole lists. The dialling asks `campaigns.callbacks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from campaigns.errors import Conflict, Missing
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A callback that is to be made at `due_at`.

    `agent_id` is None when any agent of the project may keep it. `kept`: somebody gets the project's calls who may keep it; else it waits in vain.
    """

    lead_id: int
    project_id: UUID
    project: str
    number: str
    name: str
    masked: bool
    agent_id: UUID | None
    agent_number: str | None
    agent_name: str | None
    due_at: datetime
    kept: bool


_PROMISES = """
select l.id as lead_id, l.project_id, p.name as project, l.number, l.name, p.mask_numbers as masked, l.callback_agent_id as agent_id,
       a.number as agent_number, a.display_name as agent_name, l.next_at as due_at,
       exists (select from serving s where s.project_id = l.project_id and (l.callback_agent_id is null or s.agent_id = l.callback_agent_id)) as kept
from leads l join projects p on p.id = l.project_id left join agents a on a.id = l.callback_agent_id
where l.state = 'callback' and ($1::uuid is null or l.project_id = $1) and ($2::uuid is null or l.callback_agent_id = $2)
  and (not $3::boolean or l.callback_agent_id is null) and ($4::timestamptz is null or (l.next_at, l.id) > ($4, $5::bigint))
order by l.next_at, l.id
limit $6
"""


async def list_promises(
    conn: Connection,
    *,
    project_id: UUID | None = None,
    agent_id: UUID | None = None,
    shared: bool = False,
    after: tuple[datetime, int] | None = None,
    limit: int = 100,
) -> list[Promise]:
    """Callbacks that are to be made, the first due first: of a project, of the agent who promised them, or the `shared` ones. `after`: when due, and the lead."""
    at, lead_id = after or (None, None)
    rows = await conn.fetch(_PROMISES, project_id, agent_id, shared, at, lead_id, limit)
    return [Promise(**row) for row in rows]


_REASSIGN = """
with
chosen as materialized (
    select l.id, l.project_id from leads l
    where l.state = 'callback' and ($1::bigint[] is null or l.id = any ($1)) and ($2::uuid is null or l.callback_agent_id = $2)
      and ($3::uuid is null or l.project_id = $3)
    order by l.id
    for no key update
),
strange as materialized (
    select p.name from projects p
    where $4::uuid is not null and p.id in (select project_id from chosen)
      and not exists (select from serving s where s.project_id = p.id and s.agent_id = $4)
),
moved as (
    update leads l set callback_agent_id = $4 from chosen c where l.id = c.id and not exists (select from strange)
    returning l.id
)
select (select count(*) from moved) as moved, (select array_agg(name order by name) from strange) as strange, (select array_agg(id) from chosen) as found
"""


async def reassign(
    conn: Connection,
    *,
    to: UUID | None,
    lead_ids: Sequence[int] | None = None,
    from_agent_id: UUID | None = None,
    project_id: UUID | None = None,
) -> int:
    """Give callbacks to another agent (None: to whoever of the project is free); how many. All or none; when they are due does not change.

    Which: these leads, or all of an agent, in one project if it is named. A callback that is being made at this moment is not among them.
    Errors: Missing `agent_unknown`, `callback_unknown`; Conflict `callback_elsewhere` (the agent does not get the calls of a project).
    """
    if to is not None and await conn.fetchval("select id from agents where id = $1", to) is None:
        raise Missing("agent_unknown", "There is no such agent.")
    wanted = None if lead_ids is None else sorted(set(lead_ids))
    row = await conn.fetchrow(_REASSIGN, wanted, from_agent_id, project_id, to)
    assert row is not None  # noqa: S101 -- a select without a table gives a row
    if row["strange"]:
        raise Conflict(
            "callback_elsewhere",
            f"The agent does not get the calls of {', '.join(row['strange'])}: assign them first, or name somebody else.",
        )
    if missing := sorted(set(wanted or ()) - set(row["found"] or ())):
        raise Missing("callback_unknown", "No callback is waiting for this lead.", lead_id=missing[0])
    moved: int = row["moved"]
    return moved

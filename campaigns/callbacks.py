"""Callbacks that are due: personal ones belong to the agent who promised, shared ones to whoever is free. Dialled by `claim_number(lead_id=...)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from campaigns.do_not_call_sql import listed
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A promise to call at `due_at`; `agent_id` is None when any agent of the project may keep it."""

    lead_id: int
    project_id: UUID
    number: str
    name: str
    agent_id: UUID | None
    due_at: datetime


_LISTED = listed(number="l.number", client="p.client", project="p.id", region="l.region", at="$2::timestamptz")
_DUE = f"""
select l.id as lead_id, l.project_id, l.number, l.name, l.callback_agent_id as agent_id, l.next_at as due_at
from leads l join projects p on p.id = l.project_id
where l.project_id = any ($1::uuid[]) and l.state = 'callback' and l.next_at <= $2
  and not {_LISTED}
order by l.next_at
limit $3
"""  # noqa: S608 -- constants


async def due_callbacks(
    conn: Connection, *, project_ids: Iterable[UUID], now: datetime, limit: int = 50
) -> list[Callback]:
    """The callbacks that should have been made by `now`, the most overdue first. Reads only: claiming one decides who makes it."""
    return [Callback(**row) for row in await conn.fetch(_DUE, list(project_ids), now, limit)]

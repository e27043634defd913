"""Callbacks that are due: personal ones belong to the agent who promised, shared ones to whoever is free. Dialled by `claim_number(lead_id=...)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

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


_DUE = """
select l.id as lead_id, l.project_id, l.number, l.name, l.callback_agent_id as agent_id, l.next_at as due_at
from leads l
where l.project_id = any ($1::uuid[]) and l.state = 'callback' and l.next_at <= $2
  and not exists (select from do_not_call d where d.number = l.number)
order by l.next_at
limit $3
"""


async def due_callbacks(
    conn: Connection, *, project_ids: Iterable[UUID], now: datetime, limit: int = 50
) -> list[Callback]:
    """The callbacks that should have been made by `now`, the most overdue first. Reads only: claiming one decides who makes it."""
    return [Callback(**row) for row in await conn.fetch(_DUE, list(project_ids), now, limit)]

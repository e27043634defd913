"""What pacing policies have learned, kept between runs of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What was known about a project at `saved_at`; `state` is the policy's own."""

    project_id: UUID
    state: dict[str, Any]
    saved_at: datetime


_SAVE = """
insert into pacing_states (project_id, state, saved_at)
select i.project_id, i.state, $3 from unnest($1::uuid[], $2::jsonb[]) i (project_id, state)
join projects p on p.id = i.project_id
on conflict (project_id) do update set state = excluded.state, saved_at = excluded.saved_at
"""


async def save(conn: Connection, states: Mapping[UUID, dict[str, Any]], at: datetime) -> None:
    """Keep what is known now in place of what was; projects that are gone meanwhile are left out."""
    await conn.execute(_SAVE, list(states), list(states.values()), at)


_LOAD = "select project_id, state, saved_at from pacing_states"


async def load(conn: Connection) -> list[Learned]:
    """Of all projects."""
    return [Learned(**row) for row in await conn.fetch(_LOAD)]

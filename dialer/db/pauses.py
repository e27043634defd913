"""Pauses of recordings: written behind by the engine's journal, read by an engine that takes over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseNews:
    """A pause as it is now; `ended_by` None: it goes on. `from_ms` and `to_ms` are places in the recording, from the answer."""

    id: UUID
    attempt_id: UUID
    agent_id: UUID
    reason: str
    note: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    from_ms: int
    to_ms: int | None


_SAVE = """
insert into recording_pauses (id, attempt_id, agent_id, reason, note, started_at, ended_at, ended_by, from_ms, to_ms)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[],
                     $9::integer[], $10::integer[])
on conflict (id) do update set ended_at = excluded.ended_at, ended_by = excluded.ended_by, to_ms = excluded.to_ms
where recording_pauses.ended_at is null
"""


async def save(conn: Connection, batch: Sequence[PauseNews]) -> None:
    """Write pauses, each once, in the order they began. May be repeated; what has ended stays as it ended."""
    if batch:
        await conn.execute(_SAVE, *(list(column) for column in zip(*map(astuple, batch), strict=True)))


_OPEN = """
select id, attempt_id, agent_id, reason, note, started_at, ended_at, ended_by, from_ms, to_ms from recording_pauses
where attempt_id = any ($1) and ended_at is null
"""


async def open_of(conn: Connection, attempt_ids: Collection[UUID]) -> dict[UUID, PauseNews]:
    """The pauses that go on, by their attempt."""
    rows = await conn.fetch(_OPEN, list(attempt_ids))
    return {row["attempt_id"]: PauseNews(**dict(row)) for row in rows}

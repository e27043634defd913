"""Bulk exports: asked for by one person, agreed to by another. Each statement right above the function that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export. Days are the project's, both included."""

    id: UUID
    project_id: UUID
    first_day: date
    last_day: date
    dispositions: list[str]
    pattern: str
    recipient: str | None
    reason: str
    requested_by: UUID
    requested_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None


_COLUMNS = "id, project_id, first_day, last_day, dispositions, pattern, recipient, reason, requested_by, requested_at, approved_by, approved_at"
_REQUEST = f"""
insert into recording_exports (project_id, first_day, last_day, dispositions, pattern, reason, requested_by, requested_at, recipient)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {_COLUMNS}
"""  # noqa: S608  # constants of this file


async def request(
    conn: Connection, *, project_id: UUID, first_day: date, last_day: date, dispositions: list[str], pattern: str, reason: str, by: UUID, at: datetime,
    recipient: str | None,
) -> Export:  # fmt: skip
    """Ask for one. `recipient`: the client's public key, for a handover."""
    row = await conn.fetchrow(
        _REQUEST, project_id, first_day, last_day, dispositions, pattern, reason, by, at, recipient
    )
    if row is None:
        raise RuntimeError("an insert that returned nothing")
    return Export(**dict(row))


_APPROVE = f"""
update recording_exports set approved_by = $2, approved_at = $3 where id = $1 and approved_by is null and requested_by <> $2 returning {_COLUMNS}
"""  # noqa: S608


async def approve(conn: Connection, export_id: UUID, *, by: UUID, at: datetime) -> Export | None:
    """Agree; None where it was agreed to already, or `by` has asked for it."""
    row = await conn.fetchrow(_APPROVE, export_id, by, at)
    return Export(**dict(row)) if row else None


_ONE = f"select {_COLUMNS} from recording_exports where id = $1"  # noqa: S608


async def one(conn: Connection, export_id: UUID) -> Export | None:
    """An export."""
    row = await conn.fetchrow(_ONE, export_id)
    return Export(**dict(row)) if row else None


_PAGE = f"""
select {_COLUMNS} from recording_exports where ($1::timestamptz is null or (requested_at, id) < ($1, $2::uuid))
order by requested_at desc, id desc limit $3
"""  # noqa: S608


async def page(conn: Connection, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Export]:
    """Exports, newest first."""
    at, last = after or (None, None)
    return [Export(**dict(row)) for row in await conn.fetch(_PAGE, at, last, limit)]


_PROJECT = "select name, zone, client from projects where id = $1"


async def project(conn: Connection, project_id: UUID) -> tuple[str, str, str] | None:
    """Name, zone and client of a project."""
    row = await conn.fetchrow(_PROJECT, project_id)
    return (row["name"], row["zone"], row["client"]) if row else None


_AGENTS = "select id, number from agents where id = any($1)"


async def agent_numbers(conn: Connection, agent_ids: list[UUID]) -> dict[UUID, str]:
    """The numbers (工号) of agents."""
    return {row["id"]: row["number"] for row in await conn.fetch(_AGENTS, agent_ids)}

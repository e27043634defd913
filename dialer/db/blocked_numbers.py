"""The do-not-call list in pages. A page ends at a moment and so many entries of it, so that no cursor carries a number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Who must not be called, and why."""

    number: str
    reason: str
    source: str
    user_id: UUID | None
    created_at: datetime
    client: str | None
    project_id: UUID | None
    category: str
    expires_at: datetime | None
    guarded_until: datetime | None


PAGE = """
select number, reason, source, user_id, created_at, client, project_id, category, expires_at, guarded_until from do_not_call
where $1::timestamptz is null or created_at <= $1
order by created_at desc, number, category, client, project_id offset $2 limit $3
"""


async def page(conn: Connection, *, at: datetime | None, seen_at_that_moment: int, limit: int) -> list[Blocked]:
    """Newest first, from a moment on, without the first entries of that moment."""
    return [Blocked(**dict(row)) for row in await conn.fetch(PAGE, at, seen_at_that_moment, limit)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A prefix or region that must not be called."""

    kind: str
    value: str
    client: str | None
    project_id: UUID | None
    reason: str
    expires_at: datetime | None
    user_id: UUID | None
    created_at: datetime


AREAS = "select kind, value, client, project_id, reason, expires_at, user_id, created_at from do_not_call_areas order by kind, value, created_at"


async def areas(conn: Connection) -> list[Area]:
    """All of them; there are few."""
    return [Area(**dict(row)) for row in await conn.fetch(AREAS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedList:
    """A list of others, loaded as a whole."""

    category: str
    loaded_at: datetime
    entries: int
    source: str


LISTS = "select category, loaded_at, entries, source from do_not_call_lists order by category"


async def lists(conn: Connection) -> list[LoadedList]:
    """All of them."""
    return [LoadedList(**dict(row)) for row in await conn.fetch(LISTS)]

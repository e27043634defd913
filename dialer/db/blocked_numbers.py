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


PAGE = """
select number, reason, source, user_id, created_at from do_not_call
where $1::timestamptz is null or created_at <= $1
order by created_at desc, number offset $2 limit $3
"""


async def page(conn: Connection, *, at: datetime | None, seen_at_that_moment: int, limit: int) -> list[Blocked]:
    """Newest first, from a moment on, without the first entries of that moment."""
    return [Blocked(**dict(row)) for row in await conn.fetch(PAGE, at, seen_at_that_moment, limit)]

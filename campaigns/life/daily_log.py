"""The log of a project's day (项目日志): drafted from facts, finished by the manager, signed. Each saving is a version that never changes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.life.daily_facts import facts_of_day, span_of
from campaigns.life.figures import canonical
from campaigns.projects import Project
from campaigns.sql import Connection, OneConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLog:
    """A version of a day's log. `document` is the text that was hashed: facts and notes."""

    day: date
    version: int
    document: str
    sha256: str
    signed: bool
    actor: str
    saved_at: datetime

    @property
    def content(self) -> dict[str, Any]:
        """The document, read."""
        found: dict[str, Any] = json.loads(self.document)
        return found


async def draft(conn: Connection, project: Project, day: date, now: datetime) -> dict[str, Any]:
    """The facts of a day so far, to be finished. Errors: BadInput `day_in_future`."""
    if span_of(day, project.zone)[0] > now:
        raise BadInput("day_in_future", "This day has not begun in the project's zone.")
    return await facts_of_day(conn, project, day, now)


_SAVE = """
insert into daily_logs (project_id, day, version, document, sha256, signed, user_id, actor, saved_at)
values ($1, $2, coalesce((select max(version) from daily_logs where project_id = $1 and day = $2), 0) + 1, $3, $4, $5, $6, $7, $8)
returning version
"""


async def save(
    conn: OneConnection,
    project: Project,
    day: date,
    *,
    notes: str,
    sign: bool,
    user_id: UUID | None,
    actor: str,
    now: datetime,
) -> DailyLog:
    """Keep a version with the facts as they are now. A day is signed when it is over.

    Errors: BadInput `day_in_future`; Conflict `day_not_over`.
    """
    if sign and span_of(day, project.zone)[1] > now:
        raise Conflict(
            "day_not_over", "A day is signed when it is over in the project's zone: save it without signing."
        )
    async with conn.transaction():
        await conn.execute("select id from projects where id = $1 for no key update", project.id)
        document = canonical({"facts": await draft(conn, project, day, now), "notes": notes})
        digest = hashlib.sha256(document.encode()).digest()
        version = await conn.fetchval(_SAVE, project.id, day, document, digest, sign, user_id, actor, now)
    return DailyLog(
        day=day, version=version, document=document, sha256=digest.hex(), signed=sign, actor=actor, saved_at=now
    )


_LOAD = """
select day, version, document, encode(sha256, 'hex') as sha256, signed, actor, saved_at from daily_logs
where project_id = $1 and day = $2 and ($3::integer is null or version = $3) order by version desc limit 1
"""
_LIST = """
select day, version, document, encode(sha256, 'hex') as sha256, signed, actor, saved_at from daily_logs
where project_id = $1 and ($2::date is null or day < $2) order by day desc, version desc limit $3
"""


async def load(conn: Connection, project_id: UUID, day: date, version: int | None = None) -> DailyLog:
    """A version, or the last. Errors: Missing `daily_log_unknown`."""
    row = await conn.fetchrow(_LOAD, project_id, day, version)
    if row is None:
        raise Missing("daily_log_unknown", "There is no such log of this day: save one first.")
    return DailyLog(**row)


async def logs_of(
    conn: Connection, project_id: UUID, *, before: date | None = None, limit: int = 100
) -> list[DailyLog]:
    """All versions, the newest day and version first."""
    return [DailyLog(**row) for row in await conn.fetch(_LIST, project_id, before, limit)]

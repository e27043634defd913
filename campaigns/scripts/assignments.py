"""Which version of which script a project uses, and which one is on trial for a share of its calls; now, and for any call of the past.

A call's version follows from its id and the moment it was placed: nothing is drawn twice, and nothing has to be remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.scripts.versions import ready
from campaigns.sql import Connection, OneConnection

HISTORY: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """A published version, with the script's name."""

    script_id: UUID
    name: str
    version: int
    published_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a project uses from `began_at` on, until `ended_at` (None: still). `trial` goes to `trial_percent` of the calls."""

    id: int
    project_id: UUID
    used: Used
    trial: Used | None
    trial_percent: int
    began_at: datetime
    ended_at: datetime | None

    def for_call(self, attempt_id: UUID) -> tuple[Used, bool]:
        """The version that a call gets, and whether it is the one on trial."""
        if self.trial is not None and draw(attempt_id) < self.trial_percent:
            return self.trial, True
        return self.used, False


def draw(attempt_id: UUID) -> int:
    """0 to 99, from the random end of an attempt's id; `script_draw` of the database gives the same."""
    return (attempt_id.int & 0xFFFF_FFFF) % 100


_ASSIGNMENTS = """
select a.id, a.project_id, a.script_id, s.name, a.version, v.published_at, a.trial_script_id, t.name as trial_name, a.trial_version,
       w.published_at as trial_published_at, coalesce(a.trial_percent, 0) as trial_percent, a.began_at, a.ended_at
from script_assignments a
join scripts s on s.id = a.script_id join script_versions v on (v.script_id, v.version) = (a.script_id, a.version)
left join scripts t on t.id = a.trial_script_id left join script_versions w on (w.script_id, w.version) = (a.trial_script_id, a.trial_version)
where a.project_id = $1 and ($2::timestamptz is null or (a.began_at <= $2 and (a.ended_at is null or a.ended_at > $2)))
order by a.id desc limit $3
"""


async def script_of_project(conn: Connection, project_id: UUID) -> Assignment | None:
    """What a project uses now: published versions only. None: it has no script."""
    found = await assignments_of(conn, project_id, limit=1)
    return found[0] if found and found[0].ended_at is None else None


async def script_at(conn: Connection, project_id: UUID, at: datetime) -> Assignment | None:
    """What a project used at a moment."""
    rows = await conn.fetch(_ASSIGNMENTS, project_id, at, 1)
    return _assignment(rows[0]) if rows else None


async def assignments_of(conn: Connection, project_id: UUID, *, limit: int = HISTORY) -> list[Assignment]:
    """What a project used, the last first."""
    return [_assignment(row) for row in await conn.fetch(_ASSIGNMENTS, project_id, None, limit)]


_END = "update script_assignments set ended_at = greatest($2, began_at) where project_id = $1 and ended_at is null returning id"
_BEGIN = """
insert into script_assignments (project_id, script_id, version, trial_script_id, trial_version, trial_percent, began_at) values ($1, $2, $3, $4, $5, $6, $7)
"""
_CODES = "select code from dispositions where project_id = $1"
_LOCK = "select id from projects where id = $1 for update"


async def assign(
    conn: OneConnection, project_id: UUID, version: tuple[UUID, int], *, trial: tuple[UUID, int] | None = None, trial_percent: int = 0, now: datetime
) -> Assignment:  # fmt: skip
    """Use a published version in a project from the next call on, and another one for a share of its calls, drawn by the call's id.

    Errors: Missing `project_unknown`; BadInput `script_not_published`, `script_trial_invalid`, `script_disposition_unknown`: it waits for a disposition that
    the project has not, so nobody would ever be held to it.
    """
    if (trial is None) != (trial_percent == 0) or trial == version or not 0 <= trial_percent <= 99:
        raise BadInput("script_trial_invalid", "A trial is another version, for 1 to 99 percent of the calls.")
    async with conn.transaction():
        if await conn.fetchval(_LOCK, project_id) is None:
            raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
        try:
            await conn.execute(_END, project_id, now)
            await conn.execute(_BEGIN, project_id, *version, *(trial or (None, None)), trial_percent or None, now)
        except asyncpg.ForeignKeyViolationError as error:
            raise BadInput("script_not_published", "There is no such version that is published: publish it first.") from error  # fmt: skip
        codes = {row["code"] for row in await conn.fetch(_CODES, project_id)}
        for one in filter(None, (version, trial)):
            if unknown := sorted((await ready(conn, *one)).document.dispositions() - codes):
                raise BadInput("script_disposition_unknown", f"Something is required before {unknown[0]!r}, which is no disposition of the project: add it there, or correct the script.", dispositions=unknown)  # fmt: skip
        made = await script_of_project(conn, project_id)
    assert made is not None  # noqa: S101 -- it was just written
    return made


async def unassign(conn: OneConnection, project_id: UUID, now: datetime) -> bool:
    """Use no script from the next call on; False: there was none."""
    return await conn.fetchval(_END, project_id, now) is not None


def _assignment(row: asyncpg.Record) -> Assignment:
    used = Used(script_id=row["script_id"], name=row["name"], version=row["version"], published_at=row["published_at"])
    trial = None
    if row["trial_script_id"] is not None:
        trial = Used(
            script_id=row["trial_script_id"], name=row["trial_name"], version=row["trial_version"], published_at=row["trial_published_at"]
        )  # fmt: skip
    return Assignment(
        id=row["id"], project_id=row["project_id"], used=used, trial=trial, trial_percent=row["trial_percent"],
        began_at=row["began_at"], ended_at=row["ended_at"],
    )  # fmt: skip

"""What came of a script in a project: the version in use and the one on trial side by side, and every call with its answers.

A call belongs to a version by its id (`assignments.draw`), whether or not it was answered; so reached and not reached are counted alike for both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import Missing
from campaigns.life.intervals import Difference, Share, newcombe, wilson
from campaigns.scripts.assignments import Assignment, Used, assignments_of
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What came of the calls of one version. `answered` and `connected` (an agent was there) are of all calls, the others of those that were connected."""

    used: Used
    attempts: int
    answered: Share
    connected: Share
    complete: Share
    dispositions: Mapping[str, Share]
    converted: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """An assignment with its version in use and its trial; `differences`: the trial less the other, by the names of the shares."""

    assignment: Assignment
    used: Arm
    trial: Arm | None
    differences: Mapping[str, Difference]


_ARMS = """
with calls as (
    select script_draw(a.id) < $4 as trial, a.answered_at, a.bridged_at, a.disposition, c.status
    from attempts a left join script_calls c on c.attempt_id = a.id
    where a.project_id = $1 and a.id >= uuid7_floor($2) and a.created_at >= $2 and ($3::timestamptz is null or a.created_at < $3)
      and a.outcome is distinct from 'not_sent'
)
select trial, count(*) as attempts, count(*) filter (where answered_at is not null) as answered, count(*) filter (where bridged_at is not null) as connected,
       count(*) filter (where bridged_at is not null and status = 'complete') as complete,
       count(*) filter (where bridged_at is not null and disposition in (select code from dispositions where project_id = $1 and meaning = 'conversion')) as converted,
       (select coalesce(jsonb_object_agg(d.disposition, d.calls), '{}')
        from (select b.disposition, count(*) as calls from calls b where b.trial = a.trial and b.bridged_at is not null and b.disposition is not null group by 1) d
       ) as dispositions
from calls a group by trial
"""
_NOTHING: Final[Mapping[str, Any]] = {
    "attempts": 0,
    "answered": 0,
    "connected": 0,
    "complete": 0,
    "converted": 0,
    "dispositions": {},
}


async def results(conn: Connection, project_id: UUID, *, assignment_id: int | None = None) -> Results:
    """What came of an assignment (None: the last). A conversion is a disposition whose meaning says so. Reads its attempts: for people.

    Errors: Missing `script_none`.
    """
    found = await assignments_of(conn, project_id)
    assignment = next((one for one in found if assignment_id in (None, one.id)), None)
    if assignment is None:
        raise Missing("script_none", "The project has had no such script: assign one first.")
    rows = await conn.fetch(_ARMS, project_id, assignment.began_at, assignment.ended_at, assignment.trial_percent)
    by_arm = {row["trial"]: row for row in rows}
    codes = sorted({code for row in rows for code in row["dispositions"]})
    used = _arm(assignment.used, by_arm.get(False), codes)
    trial = None if assignment.trial is None else _arm(assignment.trial, by_arm.get(True), codes)
    return Results(
        assignment=assignment, used=used, trial=trial, differences={} if trial is None else _differences(used, trial, codes)
    )  # fmt: skip


def _arm(used: Used, row: asyncpg.Record | None, codes: list[str]) -> Arm:
    said = _NOTHING if row is None else dict(row)
    connected = said["connected"]
    return Arm(
        used=used,
        attempts=said["attempts"],
        answered=wilson(said["answered"], said["attempts"]),
        connected=wilson(connected, said["attempts"]),
        complete=wilson(said["complete"], connected),
        dispositions={code: wilson(said["dispositions"].get(code, 0), connected) for code in codes},
        converted=wilson(said["converted"], connected),
    )


def _differences(used: Arm, trial: Arm, codes: list[str]) -> dict[str, Difference]:
    names = ("answered", "connected", "complete", "converted")
    made = {name: newcombe(getattr(trial, name), getattr(used, name)) for name in names}
    return made | {f"disposition.{code}": newcombe(trial.dispositions[code], used.dispositions[code]) for code in codes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One call with what was said on it. `read`: section → milliseconds after the recording began."""

    attempt_id: UUID
    lead_id: int | None
    number: str
    agent_id: UUID | None
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    disposition: str | None
    trial: bool
    status: str
    answers: Mapping[str, Any]
    read: Mapping[str, int]


_PAGE = """
select s.attempt_id, a.lead_id, a.number, a.agent_id, a.answered_at, a.ended_at, a.outcome, a.disposition, s.trial, s.status,
       (select coalesce(jsonb_object_agg(t.name, t.answer), '{}') from script_answers t where t.attempt_id = s.attempt_id) as answers,
       (select coalesce(jsonb_object_agg(r.section, r.offset_ms), '{}') from script_reads r where r.attempt_id = s.attempt_id) as read
from (select attempt_id, trial, status from script_calls
      where project_id = $1 and script_id = $2 and version = $3 and ($4::uuid is null or attempt_id > $4)
      order by attempt_id limit $5) s
join attempts a on a.id = s.attempt_id
order by s.attempt_id
"""
_AT_A_TIME: Final = 1000


async def pages(conn: Connection, project_id: UUID, script_id: UUID, version: int) -> AsyncIterator[list[Answered]]:
    """The calls of a version in a project that something was answered or read on, oldest first, a thousand at a time."""
    last: UUID | None = None
    while rows := await conn.fetch(_PAGE, project_id, script_id, version, last, _AT_A_TIME):
        yield [Answered(**row) for row in rows]
        last = rows[-1]["attempt_id"]

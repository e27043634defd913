"""Surveys as they are kept: a project's versions, and what people answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns import do_not_call
from campaigns.errors import Missing
from campaigns.sql import Connection, OneConnection
from campaigns.survey import Survey, survey_of

_SAVE = """
with latest as (select version, document from surveys where project_id = $1 order by version desc limit 1),
added as (
    insert into surveys (project_id, version, document, created_at)
    select $1, coalesce((select version from latest), 0) + 1, $2, $3 where $2::jsonb is distinct from (select document from latest)
    returning version
)
select coalesce((select version from added), (select version from latest))
"""


async def save(conn: Connection, project_id: UUID, document: Mapping[str, Any], now: datetime) -> Survey:
    """Make this the project's survey and give its version: a new one, unless it says the same as the last.

    Calls go on with the version they began with. Errors: BadInput `survey_malformed`; Missing `project_unknown`.
    """
    survey_of(document, 1)
    try:
        version = await conn.fetchval(_SAVE, project_id, dict(document), now)
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id)) from error
    return survey_of(document, version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A version as it was written."""

    version: int
    document: dict[str, Any]
    created_at: datetime


_LOAD = """
select version, document, created_at from surveys where project_id = $1 and ($2::integer is null or version = $2) order by version desc limit 1
"""


async def load(conn: Connection, project_id: UUID, version: int | None = None) -> Kept:
    """A version of a project's survey (None: the last). Errors: Missing `survey_unknown`."""
    row = await conn.fetchrow(_LOAD, project_id, version)
    if row is None:
        raise Missing("survey_unknown", "The project has no such survey: write one first.")
    return Kept(**row)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyNews:
    """A call has begun to hear a version, or (with a step) has said something: a key, "" (nothing understood), `agent`, or `opt_out`,
    which puts `number` on the do-not-call list.
    """

    attempt_id: UUID
    project_id: UUID
    version: int
    number: str
    at: datetime
    step: str | None = None
    answer: str = ""


OPT_OUT: Final = "opt_out"
AGENT: Final = "agent"
_HEARD = """
insert into survey_calls (attempt_id, project_id, version) select distinct * from unnest($1::uuid[], $2::uuid[], $3::integer[])
on conflict (attempt_id) do nothing
"""
_ANSWERS = """
insert into survey_answers (attempt_id, step, answer, at) select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
on conflict (attempt_id, step) do nothing
"""


async def save_news(conn: OneConnection, batch: Sequence[SurveyNews]) -> None:
    """Write what calls heard and said, all or none; those who opted out are not called again from this commit on. May be repeated."""
    said = [one for one in batch if one.step is not None]
    leaving = sorted({one.number for one in said if one.answer == OPT_OUT})
    async with conn.transaction():
        await conn.execute(
            _HEARD,
            [one.attempt_id for one in batch],
            [one.project_id for one in batch],
            [one.version for one in batch],
        )
        await conn.execute(
            _ANSWERS,
            [one.attempt_id for one in said],
            [one.step for one in said],
            [one.answer for one in said],
            [one.at for one in said],
        )
        if leaving:
            now = max(one.at for one in said)
            await do_not_call.add(conn, leaving, reason="opted out in a survey", source="survey", now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What came of a version: its calls by outcome, and for each step how often each answer was given."""

    version: int
    outcomes: Mapping[str, int]
    answers: Mapping[str, Mapping[str, int]]


_OUTCOMES = """
select a.outcome, count(*) as calls from survey_calls s join attempts a on a.id = s.attempt_id
where s.project_id = $1 and s.version = $2 and a.outcome is not null
group by a.outcome order by a.outcome
"""
_COUNTED = """
select t.step, t.answer, count(*) as times from survey_calls s join survey_answers t using (attempt_id)
where s.project_id = $1 and s.version = $2
group by t.step, t.answer order by t.step, t.answer
"""


async def results(conn: Connection, project_id: UUID, version: int) -> Results:
    """The sums of a version. Reads all its calls: for people."""
    answers: dict[str, dict[str, int]] = {}
    for row in await conn.fetch(_COUNTED, project_id, version):
        answers.setdefault(row["step"], {})[row["answer"]] = row["times"]
    outcomes = {row["outcome"]: row["calls"] for row in await conn.fetch(_OUTCOMES, project_id, version)}
    return Results(version=version, outcomes=outcomes, answers=answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One call with its answers, step by step."""

    attempt_id: UUID
    lead_id: int | None
    number: str
    answered_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    answers: Mapping[str, str]


_PAGE = """
select s.attempt_id, a.lead_id, a.number, a.answered_at, a.ended_at, a.outcome,
       (select coalesce(jsonb_object_agg(t.step, t.answer), '{}') from survey_answers t where t.attempt_id = s.attempt_id) as answers
from (select attempt_id from survey_calls where project_id = $1 and version = $2 and ($3::uuid is null or attempt_id > $3)
      order by attempt_id limit $4) s
join attempts a on a.id = s.attempt_id
order by s.attempt_id
"""
_AT_A_TIME: Final = 1000


async def pages(conn: Connection, project_id: UUID, version: int) -> AsyncIterator[list[Answered]]:
    """The answered calls of a version, oldest first, a thousand at a time."""
    last: UUID | None = None
    while rows := await conn.fetch(_PAGE, project_id, version, last, _AT_A_TIME):
        yield [Answered(**row) for row in rows]
        last = rows[-1]["attempt_id"]

"""Stop rules and alarms in the database: the rules of projects, the calls a watch begins with, what was raised and cleared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.life.stop_rules import RuleKind, StopRule
from campaigns.sql import Connection

REPLAYED: Final = 2000
"""Calls a watch looks back at when it begins: enough for any evidence that still counts, and no more however long a project runs."""


class AlarmKind(StrEnum):
    """What an alarm says; the same words as in `project_alarms.kind`. The stop rules' have their names."""

    SUPPLY = "supply"
    COMPLAINTS = "complaints"
    ABANDONMENT = "abandonment"
    ANSWERS = "answers"
    RULES = "rules"


_SAVE = """
with given as (
    select * from unnest($2::text[], $3::float8[], $4::float8[], $5::integer[], $6::integer[]) i (kind, tolerated, alarming, false_stop_calls, least_calls)
), gone as (
    delete from stop_rules where project_id = $1 and kind <> all ($2::text[])
)
insert into stop_rules as r (project_id, kind, tolerated, alarming, false_stop_calls, least_calls, since)
select $1, kind, tolerated, alarming, false_stop_calls, least_calls, $7 from given
on conflict (project_id, kind) do update
set tolerated = excluded.tolerated, alarming = excluded.alarming, false_stop_calls = excluded.false_stop_calls, least_calls = excluded.least_calls,
    since = excluded.since
where (r.tolerated, r.alarming, r.false_stop_calls, r.least_calls)
      is distinct from (excluded.tolerated, excluded.alarming, excluded.false_stop_calls, excluded.least_calls)
"""


async def save_stop_rules(conn: Connection, project_id: UUID, rules: Sequence[StopRule], now: datetime) -> None:
    """Make these, and no others, the stop rules of a project; one that is changed begins anew.

    Errors: BadInput `stop_rule_twice`; Missing `project_unknown`.
    """
    if len({one.kind for one in rules}) != len(rules):
        raise BadInput("stop_rule_twice", "A project has one stop rule of a kind: name each once.")
    try:
        await conn.execute(
            _SAVE,
            project_id,
            [one.kind.value for one in rules],
            [one.tolerated for one in rules],
            [one.alarming for one in rules],
            [one.false_stop_calls for one in rules],
            [one.least_calls for one in rules],
            now,
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A rule in force, and the moment from which calls count for it: when it was set, or the last stop was lifted."""

    project_id: UUID
    rule: StopRule
    since: datetime


_RULES = """
select r.project_id, r.kind, r.tolerated, r.alarming, r.false_stop_calls, r.least_calls,
       greatest(r.since, (select max(s.at) from project_steps s where s.project_id = r.project_id and s.step in ('lift', 'begin_trial', 'go_formal'))) as since
from stop_rules r join projects p on p.id = r.project_id
where ($1::uuid[] is null or r.project_id = any ($1)) and p.state not in ('settled', 'archived')
order by r.project_id, r.kind
"""


async def rules_in_force(conn: Connection, project_ids: Sequence[UUID] | None = None) -> list[Watched]:
    """The stop rules of these projects, or of all."""
    return [
        Watched(
            project_id=row["project_id"],
            since=row["since"],
            rule=StopRule(
                kind=RuleKind(row["kind"]),
                tolerated=row["tolerated"],
                alarming=row["alarming"],
                false_stop_calls=row["false_stop_calls"],
                least_calls=row["least_calls"],
            ),
        )
        for row in await conn.fetch(_RULES, None if project_ids is None else list(project_ids))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCall:
    """A call that is over, as the stop rules see it."""

    attempt_id: UUID
    ended_at: datetime
    answered: bool
    abandoned: bool
    complaint: bool


_CALLS = """
select a.id as attempt_id, a.ended_at, a.answered_at is not null as answered, a.abandoned,
       exists (select from dispositions d where d.project_id = a.project_id and d.code = a.disposition and d.meaning = 'complaint')
       or exists (select from caller_number_complaints k where k.attempt_id = a.id) as complaint
from attempts a
where a.project_id = $1 and a.id >= uuid7_floor($2::timestamptz - interval '1 day') and a.state = 'ended' and a.outcome not in ('not_sent', 'canceled')
  and a.ended_at >= $2
order by a.id desc limit $3
"""


async def last_calls(conn: Connection, project_id: UUID, since: datetime, limit: int = REPLAYED) -> list[SeenCall]:
    """The newest calls that ended since a moment, oldest first; by the index, never more than `limit`."""
    rows = await conn.fetch(_CALLS, project_id, since, limit)
    return [SeenCall(**row) for row in reversed(rows)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something a person should look at. `cleared_at` None: it is so now."""

    id: UUID
    project_id: UUID
    kind: AlarmKind
    raised_at: datetime
    cleared_at: datetime | None
    detail: dict[str, Any]


_RAISE = """
insert into project_alarms (project_id, kind, raised_at, detail) values ($1, $2, $3, $4)
on conflict (project_id, kind) where cleared_at is null do nothing
returning id, project_id, kind, raised_at, cleared_at, detail
"""
_CLEAR = """
update project_alarms set cleared_at = $3
where project_id = $1 and kind = any ($2::text[]) and cleared_at is null
returning id, project_id, kind, raised_at, cleared_at, detail
"""
_ALARMS = """
select id, project_id, kind, raised_at, cleared_at, detail from project_alarms
where ($1::uuid is null or project_id = $1) and ($2::boolean is false or cleared_at is null)
order by raised_at desc, id limit $3
"""


async def raise_alarm(
    conn: Connection, project_id: UUID, kind: AlarmKind, now: datetime, detail: dict[str, Any]
) -> Alarm | None:
    """Say it once. None: it was said already."""
    row = await conn.fetchrow(_RAISE, project_id, kind.value, now, detail)
    return None if row is None else _alarm(row)


async def clear_alarms(conn: Connection, project_id: UUID, kinds: Sequence[AlarmKind], now: datetime) -> list[Alarm]:
    """They are over; gives those that were open."""
    return [_alarm(row) for row in await conn.fetch(_CLEAR, project_id, [kind.value for kind in kinds], now)]


async def alarms(
    conn: Connection, project_id: UUID | None = None, *, open_only: bool = False, limit: int = 500
) -> list[Alarm]:
    """Newest first."""
    return [_alarm(row) for row in await conn.fetch(_ALARMS, project_id, open_only, limit)]


def _alarm(row: asyncpg.Record) -> Alarm:
    return Alarm(**{**row, "kind": AlarmKind(row["kind"])})

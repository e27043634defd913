"""How long the data lasts: fresh leads of a project that may be dialled, beside how fast they go at present."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from campaigns.sql import Connection
from campaigns.supply.parts import PARTS

LOOKED_BACK: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """`fresh`: leads within the filter that were never called; `coming_back`: retries, due or not. `per_hour`: first calls, over the time since `since`.

    `hours` is None while nothing is dialled. `alarm`: the fresh leads end within the project's `alarm_hours` at this rate, or have ended.
    """

    fresh: int
    coming_back: int
    per_hour: float
    since: datetime
    hours: float | None
    alarm_hours: int
    alarm: bool


# By two indexes: the project's attempts since a moment, and the leads that may be dialled.
_LASTING = """
select (select count(*) from leads l where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
                                           and l.next_at = '-infinity') as fresh,
       (select count(*) from leads l where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
                                           and l.next_at > '-infinity') as coming_back,
       a.first_calls, a.first_at, coalesce((select s.alarm_hours from supplies s where s.project_id = $1), 4) as alarm_hours
from (select count(*) as first_calls, min(a.created_at) as first_at
      from attempts a
      where a.project_id = $1 and a.id >= uuid7_floor($2) and a.id < uuid7_floor($3) and a.lead_id is not null
        and not exists (select from attempts b where b.lead_id = a.lead_id and b.id < a.id)) a
"""


async def lasting(conn: Connection, project_id: UUID, now: datetime) -> Lasting:
    """How long a project's data lasts at the rate of the last hour (or since its first call in that hour). Counts its leads: for people and minutes, not for a tick."""
    since = now - LOOKED_BACK
    row = await conn.fetchrow(_LASTING, project_id, since, now, timeout=60)
    assert row is not None  # noqa: S101  # an aggregate always gives a row
    since = max(since, row["first_at"] or since)
    dialled_h = max((now - since).total_seconds(), 60.0) / 3600
    per_hour = row["first_calls"] / dialled_h
    hours = row["fresh"] / per_hour if per_hour else None
    ends = hours is not None and hours < row["alarm_hours"]
    return Lasting(
        fresh=row["fresh"],
        coming_back=row["coming_back"],
        per_hour=per_hour,
        since=since,
        hours=hours,
        alarm_hours=row["alarm_hours"],
        alarm=ends or row["fresh"] == 0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Is the data about to run out? `fresh` is counted no further than matters; `per_hour` as in `Lasting`."""

    short: bool
    fresh: int
    per_hour: float
    alarm_hours: int


CLEARED_AT: Final = 1.1
"""An alarm that is raised is cleared when the data lasts so many times its hours: one lead more or less raises none again."""

_RATE = """
select a.first_calls, a.first_at, coalesce((select s.alarm_hours from supplies s where s.project_id = $1), 4) as alarm_hours
from (select count(*) as first_calls, min(a.created_at) as first_at
      from attempts a
      where a.project_id = $1 and a.id >= uuid7_floor($2) and a.id < uuid7_floor($3) and a.lead_id is not null
        and not exists (select from attempts b where b.lead_id = a.lead_id and b.id < a.id)) a
"""
# Of each part of the list no more leads than matter. Who comes back is not looked at.
_FRESH = f"""
with recursive {PARTS}
select count(*) from (
    select from parts p cross join lateral (
        select from leads l
        where l.project_id = $1 and l.priority = p.priority and coalesce(l.zone, '') = p.zone and l.next_at = '-infinity'
          and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
        limit $2
    ) of_part limit $2
) fresh
"""  # noqa: S608 -- constants


async def shortage(conn: Connection, project_id: UUID, now: datetime, *, raised: bool) -> Shortage:
    """Does the data last less than the project's alarm hours? `raised`: it was said before. The cost is that of an hour's calls and of the hours' leads, whatever the list holds."""
    since = now - LOOKED_BACK
    row = await conn.fetchrow(_RATE, project_id, since, now)
    assert row is not None  # noqa: S101  # an aggregate always gives a row
    since = max(since, row["first_at"] or since)
    per_hour = row["first_calls"] / (max((now - since).total_seconds(), 60.0) / 3600)
    enough = math.floor(row["alarm_hours"] * per_hour * (CLEARED_AT if raised else 1.0)) + 1
    fresh = await conn.fetchval(_FRESH, project_id, enough)
    return Shortage(short=fresh < enough, fresh=fresh, per_hour=per_hour, alarm_hours=row["alarm_hours"])

"""How long the data lasts: fresh leads of a project that may be dialled, beside how fast they go at present."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from campaigns.sql import Connection

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

"""Attempts: how calls go on, which are alive on a node, and what there was. They begin in `campaigns.claim` and end in `campaigns.release`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dialer.db.sql import Connection
from dialer.domain.ids import uuid7
from dialer.domain.states import CallState


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is new about an attempt; None says nothing new. The first time of each kind stays."""

    attempt_id: UUID
    state: CallState
    sent_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    bridged_at: datetime | None = None
    greeted_at: datetime | None = None
    agent_id: UUID | None = None
    device_id: UUID | None = None


_SAVE = """
update attempts a
set state = i.state, sent_at = coalesce(a.sent_at, i.sent_at), ringing_at = coalesce(a.ringing_at, i.ringing_at),
    answered_at = coalesce(a.answered_at, i.answered_at), bridged_at = coalesce(a.bridged_at, i.bridged_at),
    agent_id = coalesce(i.agent_id, a.agent_id), device_id = coalesce(i.device_id, a.device_id), greeted_at = coalesce(a.greeted_at, i.greeted_at)
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::uuid[], $9::timestamptz[])
     i (id, state, sent_at, ringing_at, answered_at, bridged_at, agent_id, device_id, greeted_at)
where a.id = i.id and a.state <> 'ended'
"""


async def save_progress(conn: Connection, batch: Sequence[Progress]) -> int:
    """Write what happened to calls, in the order it happened; how many were written. Several news of one call become one.

    May be repeated. What has ended stays ended; ENDED itself is not for here (ValueError): `campaigns.release.finish` ends.
    """
    folded: dict[UUID, list[Any]] = {}
    for news in batch:
        if news.state is CallState.ENDED:
            raise ValueError("an attempt ends by campaigns.release.finish")
        row = folded.get(news.attempt_id)
        if row is None:
            folded[news.attempt_id] = [
                news.state.value, news.sent_at, news.ringing_at, news.answered_at, news.bridged_at, news.agent_id, news.device_id, news.greeted_at,
            ]  # fmt: skip
        else:
            row[0] = news.state.value
            row[1] = row[1] or news.sent_at
            row[2] = row[2] or news.ringing_at
            row[3] = row[3] or news.answered_at
            row[4] = row[4] or news.bridged_at
            row[5] = news.agent_id or row[5]
            row[6] = news.device_id or row[6]
            row[7] = row[7] or news.greeted_at
    if not folded:
        return 0
    status = await conn.execute(_SAVE, list(folded), *(list(column) for column in zip(*folded.values(), strict=True)))
    return int(status.rpartition(" ")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAttempt:
    """An attempt that has not ended, as far as the database knows."""

    id: UUID
    lead_id: int | None
    project_id: UUID
    number: str
    trunk_id: UUID
    caller_number: str
    mode: str
    agent_id: UUID | None
    device_id: UUID | None
    state: CallState
    created_at: datetime
    sent_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    greeted_at: datetime | None


_LIVE = """
select a.id, a.lead_id, a.project_id, a.number, a.trunk_id, a.caller_number, a.mode, a.agent_id, a.device_id, a.state, a.created_at, a.sent_at,
       a.ringing_at, a.answered_at, a.bridged_at, a.greeted_at
from live_attempts v join attempts a on a.id = v.attempt_id
where v.node = $1
order by a.id
"""


async def live_of_node(conn: Connection, node: str) -> list[LiveAttempt]:
    """What a restarted engine compares with Asterisk's channels; also those it claimed without ever hearing the answer."""
    return [LiveAttempt(**{**row, "state": CallState(row["state"])}) for row in await conn.fetch(_LIVE, node)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeCount:
    """Ended attempts of a project with one outcome; how many of them were answered, bridged, abandoned."""

    project_id: UUID
    outcome: str
    ended: int
    answered: int
    bridged: int
    abandoned: int


_ENDED_BETWEEN = """
select w.project_id, a.outcome, count(*) as ended, count(a.answered_at) as answered, count(a.bridged_at) as bridged,
       count(*) filter (where a.abandoned) as abandoned
from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[]) w (project_id, lowest_id, since, until)
join attempts a on a.project_id = w.project_id and a.id >= w.lowest_id and a.ended_at >= w.since and a.ended_at < w.until
group by w.project_id, a.outcome
"""


async def ended_between(conn: Connection, periods: Mapping[UUID, tuple[datetime, datetime]]) -> list[OutcomeCount]:
    """What ended in a period, project by project: the numbers of the abandonment budget and of the live counters.

    A call counts in the period it ended in, begun at most a day before it.
    """
    begins, ends = [since for since, _ in periods.values()], [until for _, until in periods.values()]
    lowest = [_floor(since - timedelta(days=1)) for since in begins]
    rows = await conn.fetch(_ENDED_BETWEEN, list(periods), lowest, begins, ends)
    return [OutcomeCount(**row) for row in rows]


_AGES = """
select caller_number, array_agg(extract(epoch from $2::timestamptz - created_at)::float8) as ages from attempts
where id >= $3 and caller_number = any ($1) and outcome is distinct from 'not_sent'
group by caller_number
"""


async def ages_by_caller_number(conn: Connection, numbers: Collection[str], now: datetime) -> dict[str, list[float]]:
    """How many seconds ago the calls of the last hour with these caller numbers began. Reads that hour: at a start, and when a number gets its limit."""
    rows = await conn.fetch(_AGES, list(numbers), now, _floor(now - timedelta(hours=1)))
    return {row["caller_number"]: row["ages"] for row in rows}


_PARTITIONS = "select ensure_attempt_partition(($1::timestamptz + make_interval(months => i))::date) from generate_series(0, $2) i"


async def ensure_partitions(conn: Connection, now: datetime, *, months_ahead: int = 3) -> None:
    """Make the partitions of this month and the next ones. At start, and once a day; calls of a month without one lie in `attempts_elsewhere`."""
    await conn.execute(_PARTITIONS, now, months_ahead)


def _floor(at: datetime) -> UUID:
    """The lowest id an attempt of this moment can have."""
    return uuid7(at, bytes(10))

"""The abandonment budget of a project: its contract, and the answered calls it is counted from, which `campaigns.release.finish` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.projects import Project
from dialer.db.sql import Connection
from dialer.domain.pacing.budget import Budget, Lately, budget_of, open_time
from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, AtLimit, Period
from dialer.domain.pacing.periods import QUARTER, Span, quarter_of, span_of

Quarters = dict[datetime, Counter[AnsweredCall]]
"""Answered calls by the beginning of the quarter of an hour they ended in."""

_HOUR = timedelta(hours=1)


def contract_of(project: Project) -> AbandonmentContract:
    """The contract that a project's settings make."""
    return AbandonmentContract(
        cap=project.abandonment_cap,
        agent_within_ds=project.abandonment_within_ms // 100,
        period=Period(project.abandonment_period.value),
        at_limit=AtLimit(project.abandonment_at_limit.value),
        machines_count_as_answered=project.abandonment_counts_machines,
        late_counts_as_abandoned=project.abandonment_counts_late,
        false_machine_rate=project.abandonment_false_machine_rate,
    )


def period_of(project: Project, now: datetime) -> Span:
    """The present period of a project's contract."""
    return span_of(Period(project.abandonment_period.value), now, _zone(project), project.created_at)


@dataclass(frozen=True, slots=True)
class Wanted:
    """From which quarter on; what ended before `apart_from` may come as one sum, at the quarter `since`."""

    since: datetime
    apart_from: datetime


# Two ranges of the key for each project: what the table holds beyond them costs nothing.
_ANSWERED_SINCE = """
select w.project_id, q.quarter, q.outcome, q.wait_ds, q.calls
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) w (project_id, since, apart_from)
cross join lateral (
    select w.since as quarter, c.outcome, c.wait_ds, sum(c.calls)::integer as calls from answered_calls c
    where c.project_id = w.project_id and c.quarter >= w.since and c.quarter < w.apart_from group by c.outcome, c.wait_ds
    union all
    select c.quarter, c.outcome, c.wait_ds, c.calls from answered_calls c
    where c.project_id = w.project_id and c.quarter >= greatest(w.since, w.apart_from)
) q
"""


async def answered_since(conn: Connection, wanted: Mapping[UUID, Wanted]) -> dict[UUID, Quarters]:
    """Answered calls of projects by quarter, each project from a moment of its own. Reads some dozen rows for each quarter at most."""
    rows = await conn.fetch(
        _ANSWERED_SINCE,
        list(wanted),
        [one.since for one in wanted.values()],
        [one.apart_from for one in wanted.values()],
    )
    found: dict[UUID, Quarters] = {project_id: {} for project_id in wanted}
    for row in rows:
        quarters = found[row["project_id"]]
        quarters.setdefault(row["quarter"], Counter())[AnsweredCall(row["outcome"], row["wait_ds"])] += row["calls"]
    return found


_ENDED_AMONG = "select id from attempts where id = any($1::uuid[]) and state = 'ended'"


async def ended_among(conn: Connection, attempt_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these attempts are over in the database."""
    return frozenset(row["id"] for row in await conn.fetch(_ENDED_AMONG, list(attempt_ids)))


async def budget_of_project(conn: Connection, project: Project, now: datetime) -> Budget:
    """What is left of a project's budget, by the calls that are over in the database."""
    span = period_of(project, now)
    lately_since = max(span.since, quarter_of(now) - _HOUR)
    quarters = (await answered_since(conn, {project.id: Wanted(span.since, lately_since)}))[project.id]
    calls = sum(quarters.values(), Counter[AnsweredCall]())
    if span.until is None:
        return budget_of(contract_of(project), span, calls)
    newest = (calls for quarter, calls in quarters.items() if quarter >= lately_since)
    hours = (project.window_start, project.window_end)
    lately = Lately(
        calls=sum(newest, Counter[AnsweredCall]()),
        took=max(QUARTER, now - lately_since),
        open_time=open_time(now, span.until, _zone(project), *hours),
    )
    return budget_of(contract_of(project), span, calls, lately)


def _zone(project: Project) -> ZoneInfo:
    """A zone that is not known has UTC's days."""
    try:
        return ZoneInfo(project.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")

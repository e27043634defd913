"""The abandonment budget of a project: its contracts, and the answered calls they are counted from, which `campaigns.release.finish` writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.abandonment import share_rules
from campaigns.explaining.abandonment import Share
from campaigns.projects import Project
from dialer.db.sql import Connection
from dialer.domain.pacing.budget import Budget, Lately, budget_of, open_time
from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, AtLimit, Period, Standing, strictness
from dialer.domain.pacing.periods import QUARTER, Span, quarter_of, span_of

Quarters = dict[datetime, Counter[AnsweredCall]]
"""Answered calls by the beginning of the quarter of an hour they ended in."""

_HOUR = timedelta(hours=1)


_PERIOD_OF: Final = {"day": Period.DAY, "24_hours": Period.HOURS_24, "30_days": Period.DAYS_30}
"""The words of rule packs."""


def contracts_of(project: Project, now: datetime) -> tuple[AbandonmentContract, ...]:
    """All that a project must keep, one contract for each period, its own first: what its settings say, and the lines of its rule packs in force.

    Where a line and the settings speak of one period the stricter of each term holds. A line counts people only, and whoever got an agent too late
    as abandoned; what happens at the limit, and how many machines were people, is the project's to say.
    """
    own = _settings_of(project)
    kept = {own.period: own}
    for rule in share_rules(project, now):
        period, within_ds = _PERIOD_OF[rule.line.period], int(10 * rule.line.within_s)
        before = kept.get(period) or replace(own, period=period, cap=rule.line.limit, agent_within_ds=within_ds)
        kept[period] = replace(
            before,
            cap=min(before.cap, rule.line.limit),
            agent_within_ds=min(before.agent_within_ds, within_ds),
            machines_count_as_answered=False,
            late_counts_as_abandoned=True,
            rules=(*before.rules, rule.name),
        )
    return tuple(kept.values())


def _settings_of(project: Project) -> AbandonmentContract:
    return AbandonmentContract(
        cap=project.abandonment_cap,
        agent_within_ds=project.abandonment_within_ms // 100,
        period=Period(project.abandonment_period.value),
        at_limit=AtLimit(project.abandonment_at_limit.value),
        machines_count_as_answered=project.abandonment_counts_machines,
        late_counts_as_abandoned=project.abandonment_counts_late,
        false_machine_rate=project.abandonment_false_machine_rate,
    )


def span_in(project: Project, period: Period, now: datetime) -> Span:
    """The present period of one of a project's contracts."""
    return span_of(period, now, _zone(project), project.created_at)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of a project, from which quarter on; what ended before `apart_from` may come as one sum, at the quarter `since`."""

    project_id: UUID
    since: datetime
    apart_from: datetime


# Two ranges of the key for each project: what the table holds beyond them costs nothing.
_ANSWERED_SINCE = """
select w.place, q.quarter, q.outcome, q.wait_ds, q.calls
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) with ordinality w (project_id, since, apart_from, place)
cross join lateral (
    select w.since as quarter, c.outcome, c.wait_ds, sum(c.calls)::integer as calls from answered_calls c
    where c.project_id = w.project_id and c.quarter >= w.since and c.quarter < w.apart_from group by c.outcome, c.wait_ds
    union all
    select c.quarter, c.outcome, c.wait_ds, c.calls from answered_calls c
    where c.project_id = w.project_id and c.quarter >= greatest(w.since, w.apart_from)
) q
"""


async def answered_since(conn: Connection, wanted: Sequence[Wanted]) -> list[Quarters]:
    """Answered calls by quarter, in the order of what is wanted. Reads some dozen rows for each quarter at most."""
    rows = await conn.fetch(
        _ANSWERED_SINCE,
        [one.project_id for one in wanted],
        [one.since for one in wanted],
        [one.apart_from for one in wanted],
    )
    found: list[Quarters] = [{} for _ in wanted]
    for row in rows:
        quarters = found[row["place"] - 1]
        quarters.setdefault(row["quarter"], Counter())[AnsweredCall(row["outcome"], row["wait_ds"])] += row["calls"]
    return found


_ENDED_AMONG = "select id from attempts where id = any($1::uuid[]) and state = 'ended'"


async def ended_among(conn: Connection, attempt_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these attempts are over in the database."""
    return frozenset(row["id"] for row in await conn.fetch(_ENDED_AMONG, list(attempt_ids)))


@dataclass(frozen=True, slots=True)
class Kept:
    """A contract with its budget."""

    contract: AbandonmentContract
    budget: Budget


def strictest(kept: Sequence[Kept]) -> Kept:
    """The one that binds now."""
    return min(kept, key=lambda one: strictness(one.budget.standing, one.budget.left, one.contract.cap))


async def budgets_of_project(conn: Connection, project: Project, now: datetime) -> list[Kept]:
    """What is left of each contract of a project, by the calls that are over in the database."""
    contracts = contracts_of(project, now)
    spans = [span_in(project, contract.period, now) for contract in contracts]
    lately_since = quarter_of(now) - _HOUR
    found = await answered_since(
        conn, [Wanted(project.id, span.since, max(span.since, lately_since)) for span in spans]
    )
    return [
        Kept(contract, _budget(project, contract, span, quarters, now))
        for contract, span, quarters in zip(contracts, spans, found, strict=True)
    ]


async def budget_of_project(conn: Connection, project: Project, now: datetime) -> Budget:
    """What is left of the contract that binds now."""
    return strictest(await budgets_of_project(conn, project, now)).budget


async def shares_of(conn: Connection, project: Project, now: datetime) -> dict[str, Share]:
    """What the calls of each period came to, by the period as rule packs name it."""
    words = {period: word for word, period in _PERIOD_OF.items()}
    return {
        words[one.contract.period]: Share(
            answered=one.budget.answered,
            abandoned=one.budget.abandoned,
            stopped=one.budget.standing is Standing.STOPPED,
        )
        for one in await budgets_of_project(conn, project, now)
    }


def _budget(project: Project, contract: AbandonmentContract, span: Span, quarters: Quarters, now: datetime) -> Budget:
    calls = sum(quarters.values(), Counter[AnsweredCall]())
    if span.until is None:
        return budget_of(contract, span, calls)
    lately_since = max(span.since, quarter_of(now) - _HOUR)
    newest = (calls for quarter, calls in quarters.items() if quarter >= lately_since)
    hours = (project.window_start, project.window_end)
    lately = Lately(
        calls=sum(newest, Counter[AnsweredCall]()),
        took=max(QUARTER, now - lately_since),
        open_time=open_time(now, span.until, _zone(project), *hours),
    )
    return budget_of(contract, span, calls, lately)


def _zone(project: Project) -> ZoneInfo:
    """A zone that is not known has UTC's days."""
    try:
        return ZoneInfo(project.zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")

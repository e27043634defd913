"""The abandonment budget belongs to a project and the period of its contract: no restart forgets or doubles a call, the period's end ends it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from campaigns.projects import Project, update_project
from campaigns.release import EndedAttempt, finish
from dialer.db.abandonment import budget_of_project
from dialer.domain.commands import ReloadProject
from dialer.domain.ids import uuid7
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Limit, Mode
from dialer.domain.pacing.contract import Standing
from dialer.engine.abandonment import Abandonment
from dialer.engine.counts import Counts
from dialer.engine.floor import Call
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.projects import Projects
from dialer.live.feed import Feed
from tests.builders import NODE, a_project
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services, pytest.mark.faults]

SHANGHAI = ZoneInfo("Asia/Shanghai")
LATE_IN_THE_EVENING = datetime(2026, 3, 2, 23, 59, 30, tzinfo=SHANGHAI).astimezone(UTC)


class SetClock:
    """A clock that stands where it is set."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass(slots=True)
class Books:
    """What an engine counts with, without the engine."""

    clock: SetClock
    feed: Feed
    projects: Projects
    journal: Journal
    abandonment: Abandonment

    def counted(self, project_id: UUID) -> tuple[int, int] | None:
        return counted(self.abandonment, self.projects, project_id)

    def end(self, call: Call) -> EndedAttempt:
        """As `Calls` does it: into the journal, and told."""
        assert call.outcome is not None
        assert call.ended_at is not None
        news = EndedAttempt(
            attempt_id=call.attempt_id,
            outcome=call.outcome.value,
            ended_at=call.ended_at,
            answered_at=call.answered_at,
            bridged_at=call.bridged_at,
            abandoned=call.outcome is Outcome.ABANDONED,
        )
        self.journal.ended(news)
        self.abandonment.ended(call)
        return news


async def books(pool: asyncpg.Pool, now: datetime) -> Books:
    clock, feed = SetClock(now), Feed("test")
    projects = Projects(pool, NODE, clock)
    await projects.refresh()
    journal = Journal(pool, Metrics(), every_s=0.0, bound=1000, on_ended=lambda _: None)
    return Books(clock, feed, projects, journal, Abandonment(pool, projects, journal, feed, clock))


def counted(abandonment: Abandonment, projects: Projects, project_id: UUID) -> tuple[int, int] | None:
    project = projects.find(project_id)
    assert project is not None
    account = abandonment.of(project)
    return (account.answered, account.abandoned) if account.counted else None


def of_engine(stage: Stage, project: Project) -> tuple[int, int] | None:
    parts = stage.engine.parts
    return counted(parts.abandonment, parts.projects, project.id)


async def live_row(pool: asyncpg.Pool, project: Project, attempt_id: UUID, at: datetime) -> None:
    """A call that was answered and goes on."""
    assert project.trunk is not None
    await pool.execute(
        """insert into attempts (id, project_id, number, node, trunk_id, caller_number, mode, state, created_at, sent_at, answered_at)
           values ($1, $2, '+8613900000000', $3, $4, '+862155550100', 'ratio', 'answered', $5, $5, $5)""",
        attempt_id,
        project.id,
        NODE,
        project.trunk.id,
        at,
    )


async def ended_calls(pool: asyncpg.Pool, project: Project, count: int, abandoned: int, at: datetime) -> None:
    """Answered calls of the past, so many of them abandoned."""
    ids = [uuid7(at, uuid4().bytes[:10]) for _ in range(count)]
    for attempt_id in ids:
        await live_row(pool, project, attempt_id, at)
    await finish(pool, [
        EndedAttempt(
            attempt_id=attempt_id, outcome="abandoned" if n < abandoned else "connected", ended_at=at, answered_at=at,
            bridged_at=None if n < abandoned else at, abandoned=n < abandoned,
        ) for n, attempt_id in enumerate(ids)
    ])  # fmt: skip


def an_ended_call(project_id: UUID, at: datetime, outcome: Outcome = Outcome.ABANDONED) -> Call:
    return Call(
        attempt_id=uuid7(at, uuid4().bytes[:10]),
        project_id=project_id,
        lead_id=1,
        number="+8613900000000",
        mode=Mode.RATIO,
        trunk_id=uuid4(),
        caller_number="+862155550100",
        created_at=at,
        placed_s=0.0,
        answered_at=at,
        ended_at=at,
        outcome=outcome,
    )


async def test_restarted_engine_keeps_the_budget_and_dials_one_for_one_over_the_cap(stage: Stage) -> None:
    project = await stage.project(mode="ratio", ratio=3, abandonment_cap="0.03")
    await ended_calls(stage.pool, project, 40, 10, datetime.now(UTC))  # noqa: TID251 - today is what is tested
    await stage.leads(project, 6)
    await stage.start()
    assert of_engine(stage, project) == (40, 10)
    await stage.agent(project)
    await stage.call()
    await stage.until(lambda: _limit(stage, project) is Limit.ABANDONMENT, "the cap as the limit")
    assert len(stage.asterisk.sent_calls()) == 1
    counters = stage.engine.feed.snapshot()["state"]["counters"][str(project.id)]
    assert (counters["attempts"], counters["answered"], counters["bridged"], counters["abandoned"]) == (40, 40, 30, 10)
    assert counters["outcomes"] == {"abandoned": 10, "connected": 30}
    shown = stage.engine.feed.snapshot()["state"]["abandonment"][str(project.id)]
    assert (shown["answered"], shown["abandoned"], shown["allowed"], shown["left"]) == (40, 10, 1, -9)


async def test_a_contract_that_stops_at_its_limit_stops_and_dials_again_when_it_is_changed(stage: Stage) -> None:
    project = await stage.project(mode="ratio", ratio=3, abandonment_cap="0.03", abandonment_at_limit="stop")
    await ended_calls(stage.pool, project, 40, 10, datetime.now(UTC))  # noqa: TID251 - today is what is tested
    await stage.leads(project, 6)
    await stage.start()
    await stage.agent(project)
    await stage.until(lambda: _limit(stage, project) is Limit.ABANDONMENT_STOP, "the contract as the limit")
    assert stage.asterisk.sent_calls() == []
    assert stage.engine.explain_project(project.id)["why"] == "abandonment_stop"
    async with stage.pool.acquire() as conn:
        await update_project(conn, project.id, abandonment_cap="0.5")
    await stage.engine.execute(ReloadProject(project_id=project.id))
    await stage.call(3)


async def test_calls_of_this_run_are_there_after_a_death_of_the_engine(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=1)
    agent_id = await stage.agent(project)
    await stage.leads(project, 1)
    stage.engine.parts.placing.new_list(project.id)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: call.bridged_at is not None, "conversation")
    stage.asterisk.hang_up(call.attempt_id)
    await stage.ended_row(call.attempt_id)
    await stage.until(lambda: of_engine(stage, project) == (1, 0), "the call in the budget")
    await stage.die()
    await stage.start()
    assert of_engine(stage, project) == (1, 0)
    assert agent_id in stage.engine.parts.floor.agents


async def test_budget_begins_anew_at_midnight_of_the_projects_zone(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, zone="Asia/Shanghai")
    await ended_calls(pool, project, 3, 1, LATE_IN_THE_EVENING - timedelta(days=1))
    await ended_calls(pool, project, 5, 2, LATE_IN_THE_EVENING - timedelta(hours=20))
    office = await books(pool, LATE_IN_THE_EVENING)
    counts = Counts(pool, office.projects, office.feed, office.clock)
    assert office.counted(project.id) is None
    await office.abandonment.complete()
    assert office.counted(project.id) == (5, 2)
    office.abandonment.ended(an_ended_call(project.id, office.clock.at))
    assert office.counted(project.id) == (6, 3)
    late = an_ended_call(project.id, office.clock.at)
    office.clock.at += timedelta(minutes=1)
    for told in (counts, office.abandonment):
        told.ended(late)  # its end was found out after midnight
    assert office.counted(project.id) == (0, 0)
    for told in (counts, office.abandonment):
        told.ended(an_ended_call(project.id, office.clock.at))
    assert office.counted(project.id) == (1, 1)
    counts.show()
    office.abandonment.show()
    state = office.feed.snapshot()["state"]
    shown, budget = state["counters"][str(project.id)], state["abandonment"][str(project.id)]
    assert (shown["since"], shown["attempts"]) == ("2026-03-02T16:00:00Z", 1)
    assert (budget["since"], budget["until"]) == ("2026-03-02T16:00:00Z", "2026-03-03T16:00:00Z")


async def test_the_last_24_hours_move_along_by_the_quarter_of_an_hour(pool: asyncpg.Pool) -> None:
    now = datetime(2026, 3, 2, 9, 7, tzinfo=UTC)
    project = await a_project(pool, abandonment_period="hours_24")
    await ended_calls(pool, project, 2, 1, now - timedelta(hours=24, minutes=8))  # in the quarter before
    await ended_calls(pool, project, 3, 1, now - timedelta(hours=24, minutes=7))
    await ended_calls(pool, project, 4, 0, now - timedelta(hours=1))
    office = await books(pool, now)
    await office.abandonment.complete()
    assert office.counted(project.id) == (7, 1)
    office.clock.at += timedelta(minutes=8)
    assert office.counted(project.id) == (4, 0)
    await office.abandonment.complete()
    assert office.counted(project.id) == (4, 0)


async def test_thirty_days_are_counted_from_the_day_the_project_began(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, zone="Asia/Shanghai", abandonment_period="days_30")
    began = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
    await pool.execute("update projects set created_at = $2 where id = $1", project.id, began)
    await ended_calls(
        pool, project, 2, 2, began + timedelta(days=29, hours=12)
    )  # 5 January 11:00 and 29.5 days: the last evening
    await ended_calls(pool, project, 3, 1, began + timedelta(days=29, hours=14))  # an hour after the 30th midnight
    await ended_calls(pool, project, 4, 1, began + timedelta(days=45))
    office = await books(pool, began + timedelta(days=45, hours=1))
    await office.abandonment.complete()
    assert office.counted(project.id) == (7, 2)
    budget = await budget_of_project(pool, office.projects.find(project.id) or project, office.clock.at)
    assert (budget.answered, budget.abandoned) == (7, 2)
    assert budget.span.since == datetime(2026, 2, 3, 16, tzinfo=UTC)


async def test_another_zone_or_period_of_the_project_is_read_from_the_rows(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, zone="Asia/Shanghai")
    await ended_calls(pool, project, 5, 2, LATE_IN_THE_EVENING - timedelta(hours=20))
    office = await books(pool, LATE_IN_THE_EVENING)
    await office.abandonment.complete()
    for change, answered in (("zone = 'UTC'", (0, 0)), ("abandonment_period = 'hours_24'", (5, 2))):
        await pool.execute(f"update projects set {change} where id = $1", project.id)
        await office.projects.refresh()
        assert office.counted(project.id) is None
        await office.abandonment.complete()
        assert office.counted(project.id) == answered


async def test_another_definition_of_late_holds_at_once_for_the_whole_period(pool: asyncpg.Pool) -> None:
    project = await a_project(pool)
    attempt_id = uuid7(LATE_IN_THE_EVENING, uuid4().bytes[:10])
    answered = LATE_IN_THE_EVENING - timedelta(minutes=2)
    await live_row(pool, project, attempt_id, answered)
    bridged = answered + timedelta(seconds=2.3)
    await finish(pool, [
        EndedAttempt(attempt_id=attempt_id, outcome="connected", ended_at=LATE_IN_THE_EVENING, answered_at=answered, bridged_at=bridged)
    ])  # fmt: skip
    office = await books(pool, LATE_IN_THE_EVENING)
    await office.abandonment.complete()
    assert office.counted(project.id) == (1, 1)
    await pool.execute("update projects set abandonment_within_ms = 2300 where id = $1", project.id)
    await office.projects.refresh()
    assert office.counted(project.id) == (1, 0)
    await pool.execute(
        "update projects set abandonment_within_ms = 2200, abandonment_counts_late = false where id = $1", project.id
    )
    await office.projects.refresh()
    assert office.counted(project.id) == (1, 0)


async def test_a_call_is_in_the_budget_once_whatever_the_journal_has_written_of_it(pool: asyncpg.Pool) -> None:
    project = await a_project(pool)
    office = await books(pool, LATE_IN_THE_EVENING - timedelta(hours=3))
    waiting, written, given_back = (an_ended_call(project.id, office.clock.at) for _ in range(3))
    for call in (waiting, written, given_back):
        await live_row(pool, project, call.attempt_id, office.clock.at)
    office.end(written)
    await office.journal.flush()
    office.end(waiting)
    await finish(pool, [office.end(given_back)])  # committed, but the connection was lost before we heard of it
    await office.abandonment.complete()
    assert office.counted(project.id) == (3, 3)
    await office.journal.flush()
    office.clock.at += timedelta(minutes=15)  # it is read again
    await office.abandonment.complete()
    assert office.counted(project.id) == (3, 3)
    assert (await budget_of_project(pool, project, office.clock.at)).abandoned == 3


async def test_kept_sums_are_those_of_the_attempts_however_often_an_end_is_written(pool: asyncpg.Pool) -> None:
    project = await a_project(pool)
    at = datetime(2026, 3, 2, 9, 14, 59, tzinfo=UTC)
    waits = [None, 0, 1, 99_999, 100_000, 100_001, 1_999_999, 2_000_000, 59_900_000, 61_000_000]
    batch = []
    for n, wait_us in enumerate(waits):
        attempt_id, answered = uuid7(at, uuid4().bytes[:10]), at + timedelta(seconds=n)
        await live_row(pool, project, attempt_id, answered)
        batch.append(EndedAttempt(
            attempt_id=attempt_id, outcome="abandoned" if wait_us is None else "connected", ended_at=answered, answered_at=answered,
            bridged_at=None if wait_us is None else answered + timedelta(microseconds=wait_us),
        ))  # fmt: skip
    await finish(pool, batch)
    await finish(pool, batch)
    office = await books(pool, at + timedelta(hours=1))
    for news in batch:
        office.abandonment.ended(_as_call(project, news))  # counted in memory, as the engine does
    in_memory = office.abandonment._own.values()
    kept = await pool.fetch(
        "select quarter, outcome, wait_ds, calls from answered_calls where project_id = $1", project.id
    )
    assert Counter((quarter, kind.outcome, kind.wait_ds) for _, quarter, kind in in_memory) == Counter(
        {(row["quarter"], row["outcome"], row["wait_ds"]): row["calls"] for row in kept}
    )


async def test_a_stopping_contract_that_is_not_read_yet_stops(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, abandonment_at_limit="stop")
    office = await books(pool, LATE_IN_THE_EVENING)
    assert office.abandonment.of(project).standing is Standing.STOPPED
    await office.abandonment.complete()
    assert office.abandonment.of(office.projects.find(project.id) or project).standing is Standing.COVERED


def _as_call(project: Project, news: EndedAttempt) -> Call:
    call = an_ended_call(project.id, news.ended_at, Outcome(news.outcome))
    call.answered_at, call.bridged_at = news.answered_at, news.bridged_at
    return call


def _limit(stage: Stage, project: Project) -> Limit | None:
    pace = stage.engine.parts.placing.paces.last(project.id)
    return pace.limited_by if pace else None

"""The abandonment budget belongs to a project and its day: no restart forgets it, midnight in the project's zone ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from campaigns.projects import Project
from dialer.domain.ids import uuid7
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Limit, Mode
from dialer.engine.counts import Counts
from dialer.engine.floor import Call
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


async def ended_calls(pool: asyncpg.Pool, project: Project, count: int, abandoned: int, at: datetime) -> None:
    """Answered calls of the past, so many of them abandoned."""
    assert project.trunk is not None
    for n in range(count):
        await pool.execute(
            """insert into attempts (id, project_id, number, node, trunk_id, caller_number, mode, state, created_at, sent_at, answered_at,
                                     bridged_at, ended_at, outcome, abandoned)
               values ($1, $2, $3, $4, $5, '+862155550100', 'ratio', 'ended', $6, $6, $6, $7, $6, $8, $9)""",
            uuid7(at, uuid4().bytes[:10]),
            project.id,
            f"+8613900{n:06d}",
            NODE,
            project.trunk.id,
            at,
            None if n < abandoned else at,
            "abandoned" if n < abandoned else "connected",
            n < abandoned,
        )


def an_ended_call(project_id: UUID, at: datetime, outcome: Outcome = Outcome.ABANDONED) -> Call:
    return Call(
        attempt_id=uuid4(),
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
    assert stage.engine.parts.counts.abandonment(project.id) == (40, 10)
    await stage.agent(project)
    await stage.call()
    await stage.until(lambda: _limit(stage, project) is Limit.ABANDONMENT, "the cap as the limit")
    assert len(stage.asterisk.sent_calls()) == 1
    counters = stage.engine.feed.snapshot()["state"]["counters"][str(project.id)]
    assert (counters["attempts"], counters["answered"], counters["bridged"], counters["abandoned"]) == (40, 40, 30, 10)
    assert counters["outcomes"] == {"abandoned": 10, "connected": 30}


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
    assert stage.engine.parts.counts.abandonment(project.id) == (1, 0)
    await stage.die()
    await stage.start()
    assert stage.engine.parts.counts.abandonment(project.id) == (1, 0)
    assert agent_id in stage.engine.parts.floor.agents


async def test_budget_begins_anew_at_midnight_of_the_projects_zone(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, zone="Asia/Shanghai")
    await ended_calls(pool, project, 3, 1, LATE_IN_THE_EVENING - timedelta(days=1))
    await ended_calls(pool, project, 5, 2, LATE_IN_THE_EVENING - timedelta(hours=20))
    clock = SetClock(LATE_IN_THE_EVENING)
    projects, feed = Projects(pool, NODE), Feed("test")
    await projects.refresh()
    counts = Counts(pool, projects, feed, clock)
    assert counts.abandonment(project.id) is None
    await counts.complete()
    assert counts.abandonment(project.id) == (5, 2)
    counts.ended(an_ended_call(project.id, clock.at))
    assert counts.abandonment(project.id) == (6, 3)
    late = an_ended_call(project.id, clock.at)
    clock.at += timedelta(minutes=1)
    counts.ended(late)  # its end was found out after midnight
    assert counts.abandonment(project.id) == (0, 0)
    counts.ended(an_ended_call(project.id, clock.at))
    assert counts.abandonment(project.id) == (1, 1)
    counts.show()
    shown = feed.snapshot()["state"]["counters"][str(project.id)]
    assert (shown["since"], shown["attempts"]) == ("2026-03-02T16:00:00Z", 1)


async def test_another_zone_of_the_project_is_another_day_and_read_from_the_rows(pool: asyncpg.Pool) -> None:
    project = await a_project(pool, zone="Asia/Shanghai")
    await ended_calls(pool, project, 5, 2, LATE_IN_THE_EVENING - timedelta(hours=20))
    clock = SetClock(LATE_IN_THE_EVENING)
    projects = Projects(pool, NODE)
    await projects.refresh()
    counts = Counts(pool, projects, Feed("test"), clock)
    await counts.complete()
    await pool.execute("update projects set zone = 'UTC' where id = $1", project.id)
    await projects.refresh()
    assert counts.abandonment(project.id) is None
    await counts.complete()
    assert counts.abandonment(project.id) == (0, 0)


def _limit(stage: Stage, project: Project) -> Limit | None:
    pace = stage.engine.parts.placing.paces.last(project.id)
    return pace.limited_by if pace else None

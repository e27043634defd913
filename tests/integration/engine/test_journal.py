"""The journal: one poisoned item stops nothing, and a long absence of PostgreSQL stops the dialling before anything is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from campaigns.release import EndedAttempt
from dialer.domain.pacing import Limit
from dialer.domain.states import AgentState
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from lab.postgres import Postgres
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def test_a_poisoned_item_is_set_aside_and_all_others_of_its_batch_are_written(pool: asyncpg.Pool) -> None:
    project = await a_project(pool)
    attempts = []
    for _ in range(3):
        await a_lead(pool, project.id)
        attempts.append((await an_attempt(pool, project, now=NOON)).attempt_id)
    told: list[UUID] = []
    journal = Journal(pool, Metrics(CollectorRegistry()), every_s=0.01, bound=100, on_ended=told.extend)
    for attempt_id, outcome in zip(attempts, ("busy", "NOT A WORD!", "no_answer"), strict=True):
        journal.ended(EndedAttempt(attempt_id=attempt_id, outcome=outcome, ended_at=NOON))
    assert await journal.flush()
    assert len(journal) == 0
    rows = await pool.fetch("select id, outcome from attempts where state = 'ended'")
    assert {row["id"]: row["outcome"] for row in rows} == {attempts[0]: "busy", attempts[2]: "no_answer"}


async def test_long_absence_of_postgresql_stops_the_dialling_at_the_bound_and_loses_no_end(
    stage: Stage, postgres: Postgres
) -> None:
    await stage.start(journal_bound=6, lease_s=60.0)  # the lease shall not be what stops it
    project = await stage.project()
    agents = [await stage.agent(project) for _ in range(3)]
    await stage.leads(project, 3)
    stage.engine.parts.placing.new_list(project.id)
    await stage.call(3)
    attempts = list(stage.engine.parts.floor.calls)
    for attempt_id in attempts:
        await stage.asterisk.answer(attempt_id)
    await stage.until(lambda: all(stage.state(one) is AgentState.TALKING for one in agents), "three conversations")
    assert await stage.engine.parts.journal.flushed(5)
    postgres.kill()
    try:
        for attempt_id in attempts:
            stage.asterisk.hang_up(attempt_id)
        await stage.until(lambda: stage.engine.parts.journal.overfull, "the bound")
        obstacle = stage.engine.obstacle()
        assert obstacle is not None
        assert obstacle[0] is Limit.JOURNAL
        sent = len(stage.asterisk.sent_calls())
    finally:
        await postgres.start()
    await stage.until(lambda: stage.engine.obstacle() is None, "dialling is allowed again", timeout_s=20)
    assert len(stage.asterisk.sent_calls()) == sent == 3
    for attempt_id in attempts:
        row = await stage.ended_row(attempt_id)
        assert (row["outcome"], row["ended_at"] <= datetime.now(UTC)) == ("connected", True)  # noqa: TID251

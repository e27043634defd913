"""Agents who said ahead when they leave: pacing knows it, and at the time they go, after the call of that moment, also over a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest

from campaigns.projects import Project
from dialer.db import departures
from dialer.db.departures import Departure
from dialer.domain.commands import AgentReady
from dialer.domain.pacing import Snapshot
from dialer.domain.states import AgentState
from dialer.engine.clock import SystemClock
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


def soon(seconds: float) -> datetime:
    return SystemClock().now() + timedelta(seconds=seconds)


async def said(
    stage: Stage,
    agent_id: UUID,
    seconds: float,
    wanted: Literal["break", "logged_out"] = "break",
    reason: str = "lunch",
) -> Departure:
    """The agent is going to leave, and the engine knows it."""
    departure = Departure(agent_id=agent_id, at=soon(seconds), wanted=wanted, reason=reason)
    async with stage.pool.acquire() as conn:
        await departures.plan(conn, agent_id, [departure], user_id=None)
    await stage.until(lambda: stage.on_floor(agent_id).departures == (departure,), "word of it")
    return departure


async def left_rows(stage: Stage) -> int:
    count: int = await stage.pool.fetchval("select count(*) from agent_departures")
    return count


def snapshot(stage: Stage, project: Project) -> Snapshot:
    return stage.engine.parts.placing._snapshots.take([project]).snapshots[project.id]


async def test_agent_goes_on_the_break_that_was_said_ahead_by_itself(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    await said(stage, agent_id, 1.0)
    await stage.until(lambda: stage.state(agent_id) is AgentState.BREAK, "break")
    assert stage.on_floor(agent_id).reason == "lunch"

    async def forgotten() -> bool:
        return await left_rows(stage) == 0

    await stage.until(forgotten, "the row is done with")


async def test_agent_who_talks_at_the_time_goes_when_the_call_is_over(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    agent_id = await stage.agent(project)
    await stage.leads(project, 1)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await said(stage, agent_id, 0.7, "logged_out")
    await stage.until(lambda: stage.on_floor(agent_id).wanted == "logged_out", "the time")
    assert stage.state(agent_id) is AgentState.TALKING
    stage.asterisk.hang_up(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.LOGGED_OUT, "the agent gone")


async def test_no_call_is_placed_for_an_agent_who_leaves_before_it_would_have_rung_out(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(ring_timeout_s=20)
    agent_id = await stage.agent(project, wanted="break")
    departure = await said(stage, agent_id, 15)
    await stage.leads(project, 1)
    await stage.engine.execute(AgentReady(agent_id=agent_id))
    await stage.until(lambda: snapshot(stage, project).ready == 1, "a ready agent")
    [(place, left_s)] = snapshot(stage, project).leaving
    assert place == 0
    assert left_s == pytest.approx((departure.at - soon(0)).total_seconds(), abs=0.5)
    paces = stage.engine.parts.placing.paces
    await stage.until(lambda: (pace := paces.last(project.id)) is not None and pace.ready == 1, "a decision")
    assert stage.asterisk.sent_calls() == []
    async with stage.pool.acquire() as conn:
        await departures.plan(conn, agent_id, [], user_id=None)
    await stage.call()


async def test_agent_who_leaves_after_the_ring_time_is_dialled_for(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(ring_timeout_s=20)
    agent_id = await stage.agent(project, wanted="break")
    await said(stage, agent_id, 60)
    await stage.leads(project, 1)
    await stage.engine.execute(AgentReady(agent_id=agent_id))
    await stage.call()


async def test_departure_holds_over_a_restart(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    await said(stage, agent_id, 3.0)
    await stage.die()
    await stage.start()
    await stage.until(lambda: stage.state(agent_id) is AgentState.BREAK, "break", 10)
    assert stage.on_floor(agent_id).reason == "lunch"


async def test_departure_whose_time_passed_while_no_engine_ran_comes_about_at_the_start(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "ready")
    departure = await said(stage, agent_id, 0.6)
    await stage.die()
    await stage.until(lambda: soon(0) > departure.at, "the time")
    await stage.start()
    await stage.until(lambda: stage.state(agent_id) is AgentState.BREAK, "break", 10)


async def test_departure_of_a_shift_before_is_forgotten(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    yesterday = datetime.now(UTC) - timedelta(days=1)  # noqa: TID251 - long before the agent logged in
    async with stage.pool.acquire() as conn:
        await departures.plan(
            conn, agent_id, [Departure(agent_id=agent_id, at=yesterday, wanted="logged_out")], user_id=None
        )

    async def forgotten() -> bool:
        return await left_rows(stage) == 0

    await stage.until(forgotten, "the row is done with")
    assert stage.state(agent_id) is AgentState.READY


async def test_agent_goes_although_postgresql_is_away_and_the_row_is_done_with_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    departure = await said(stage, agent_id, 1.0)

    async def away(*_: Any) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as broken:
        broken.setattr(departures, "done", away)
        await stage.until(lambda: stage.state(agent_id) is AgentState.BREAK, "break")
        await stage.engine.execute(AgentReady(agent_id=agent_id))
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "back again")

    async def forgotten() -> bool:
        return await left_rows(stage) == 0

    await stage.until(forgotten, "the row is done with")
    assert departure not in stage.engine.parts.departures._done
    assert stage.state(agent_id) is AgentState.READY


async def test_floor_view_shows_who_leaves_when(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    departure = await said(stage, agent_id, 3_600, "logged_out", "")
    shown = stage.engine.feed.snapshot()["state"]["agent"][str(agent_id)]
    assert datetime.fromisoformat(shown["leaves_at"]) == departure.at.replace(
        microsecond=departure.at.microsecond // 1000 * 1000
    )
    assert shown["leaves_to"] == "logged_out"

"""The wall clock steps, hours forward and hours back: what is measured is measured by the monotonic clock, and what is written stays in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dialer.domain.commands import HangUp, WrapUp
from dialer.domain.states import AgentState, CallState
from dialer.engine import Engine
from dialer.engine.clock import SystemClock
from tests.integration.engine.conftest import Stage, stage

__all__ = ["stage"]

pytestmark = [pytest.mark.services, pytest.mark.faults]

STEPS = [timedelta(hours=3), timedelta(hours=-3), timedelta(seconds=90), timedelta(seconds=-90)]


class SteppedClock(SystemClock):
    """The machine's clock, and an operator who sets it."""

    def __init__(self) -> None:
        self.off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


async def begin(stage: Stage, **changes: Any) -> SteppedClock:
    """The stage's engine, on a clock that can be set."""
    clock = SteppedClock()
    engine = Engine(replace(stage.config, **changes), stage.pool, on_ended=stage.ended.append, clock=clock)
    await engine.start()
    stage.engines.append(engine)
    stage.asterisk.agi_port = engine.agi_port
    await stage.until(lambda: engine.ready, "adoption")
    return clock


async def in_order(stage: Stage, attempt_id: UUID) -> None:
    row = await stage.ended_row(attempt_id)
    times = [row[name] for name in ("answered_at", "bridged_at", "ended_at") if row[name] is not None]
    assert times == sorted(times)
    assert row["created_at"] <= row["ended_at"]


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_step_in_conversation_keeps_the_call_its_times_in_order_and_the_lease(
    stage: Stage, step: timedelta
) -> None:
    clock = await begin(stage, lease_s=1.0)
    project = await stage.project()
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.ring(call.attempt_id)
    clock.off = step
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    clock.off = timedelta()
    stage.asterisk.hang_up(call.attempt_id)
    await in_order(stage, call.attempt_id)
    second = await stage.call()
    assert second.attempt_id != call.attempt_id
    await stage.until(lambda: second.state is CallState.ORIGINATING, "the next call")
    assert stage.engine.obstacle() is None  # the lease did not end with the step


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_step_while_a_customer_waits_neither_drops_nor_prolongs_the_wait(stage: Stage, step: timedelta) -> None:
    clock = await begin(stage)
    project = await stage.project(mode="ratio", ratio=2, agent_wait_ms=1200)
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    first = await stage.call()
    second = await stage.call(2)
    await stage.asterisk.answer(first.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    stage.asterisk.up(second.attempt_id)
    clock.off = step
    began_s = clock.monotonic()
    told = await stage.asterisk.ask(second.attempt_id)
    assert told["WAIHU_ACTION"] == "safe_harbour"
    assert 1.0 < clock.monotonic() - began_s < 4.0
    stage.asterisk.hang_up(second.attempt_id)
    stage.asterisk.hang_up(first.attempt_id)
    await in_order(stage, second.attempt_id)
    await in_order(stage, first.attempt_id)


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_step_in_wrap_up_neither_ends_nor_repeats_it(stage: Stage, step: timedelta) -> None:
    clock = await begin(stage)
    project = await stage.project(wrap_up_limit_s=60)
    [lead_id] = await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await stage.engine.execute(HangUp(agent_id=agent_id))
    await stage.until(lambda: stage.state(agent_id) is AgentState.WRAP_UP, "wrap-up")
    clock.off = step
    ticks = stage.engine.parts.happenings.seen
    await stage.engine.parts.reconcile.now(adopt=True)
    assert stage.state(agent_id) is AgentState.WRAP_UP
    await stage.engine.execute(WrapUp(agent_id=agent_id, disposition=project.dispositions[0].code))
    assert stage.state(agent_id) is AgentState.READY
    assert stage.engine.parts.happenings.seen - ticks < 20
    row = await stage.pool.fetchrow("select state, attempts from leads where id = $1", lead_id)
    assert row is not None
    assert row["attempts"] == 1
    await stage.engine.parts.journal.flushed(5)
    stays = await stage.pool.fetch("select began_at, ended_at from agent_times where agent_id = $1", agent_id)
    assert all(stay["ended_at"] is None or stay["began_at"] <= stay["ended_at"] for stay in stays)


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_step_starts_no_storm_and_loses_no_lead(stage: Stage, step: timedelta) -> None:
    clock = await begin(stage)
    project = await stage.project()
    leads = await stage.leads(project, 5)
    agent_id = await stage.agent(project)
    call = await stage.call()
    clock.off = step
    tick = stage.engine.parts.placing.tick
    ticks = 0

    async def counted() -> float:
        nonlocal ticks
        ticks += 1
        return await tick()

    stage.engine.parts.placing.tick = counted  # type: ignore[method-assign]
    began_s = clock.monotonic()
    await stage.until(lambda: clock.monotonic() - began_s > 1.0, "a second of ticks")
    assert ticks < 60  # 20 a second, and some for what happens
    assert stage.asterisk.sent_calls() == [call.channel_id]  # one agent, one call: the step calls nobody
    for count in range(1, len(leads) + 1):
        await stage.until(lambda count=count: len(stage.asterisk.sent_calls()) == count, f"call {count}")
        stage.asterisk.refuse((await stage.call()).attempt_id, 17, "486")

    async def all_ended() -> bool:
        ended: int = await stage.pool.fetchval("select count(*) from attempts where state = 'ended'")
        return ended >= len(leads)

    await stage.until(all_ended, "the end of the list", 10)
    assert stage.state(agent_id) is AgentState.READY
    lost = await stage.pool.fetchval("select count(*) from leads where state = 'in_flight'")
    assert lost == 0


@pytest.mark.parametrize("step", STEPS, ids=str)
async def test_engine_that_starts_after_a_step_adopts_the_conversation(stage: Stage, step: timedelta) -> None:
    await begin(stage)
    project = await stage.project(wrap_up_limit_s=60)
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    clock = SteppedClock()
    clock.off = step
    engine = Engine(stage.config, stage.pool, clock=clock)
    await engine.start()
    stage.engines.append(engine)
    stage.asterisk.agi_port = engine.agi_port
    await stage.until(lambda: engine.ready, "adoption")
    assert engine.parts.floor.calls[call.attempt_id].state is CallState.BRIDGED
    stage.asterisk.hang_up(call.attempt_id)
    await in_order(stage, call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.WRAP_UP, "wrap-up")

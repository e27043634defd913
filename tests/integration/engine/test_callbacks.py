"""Promises kept through an engine: those of agents who are away stand in nobody's way, and what may not be dialled disturbs nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns.leads import get_lead
from campaigns.projects import Project
from campaigns.states import LeadState
from dialer.domain.states import AgentState
from dialer.engine.clock import SystemClock
from tests.builders import a_lead, a_number, an_agent
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


def _ago(**ago: float) -> datetime:
    return SystemClock().now() - timedelta(**ago)


async def a_promise(stage: Stage, project: Project, agent_id: UUID | None, **columns: Any) -> int:
    given = {"state": "callback", "next_at": _ago(minutes=5), "callback_agent_id": agent_id} | columns
    return await a_lead(stage.pool, project.id, **given)


async def called_today(stage: Stage, project: Project, number: str, times: int) -> None:
    made = [_ago(minutes=2 + n) for n in range(times)]
    await stage.pool.execute(
        "insert into callees values ($1, $2, $3, $4, $5, $5)",
        number,
        made,
        [project.id] * times,
        [project.client] * times,
        [None] * times,
    )


async def test_callbacks_of_an_agent_who_is_away_keep_nobody_from_theirs(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    away = await an_agent(stage.pool, projects=[project.id])
    for n in range(60):
        await a_promise(stage, project, away, next_at=_ago(days=1, seconds=n))
    here, free = await stage.agent(project), await stage.agent(project)
    theirs = await a_promise(stage, project, here)
    shared = await a_promise(stage, project, None, next_at=_ago(minutes=4))
    for agent_id in (here, free):
        await stage.ready(agent_id)
    await stage.call(2)
    calls = {call.lead_id: call.agent_id for call in stage.engine.parts.floor.calls.values()}
    assert calls == {theirs: here, shared: free}


async def test_a_callback_that_may_not_be_made_now_waits_for_its_time_and_its_agent_is_never_reserved(
    stage: Stage,
) -> None:
    await stage.start()
    project = await stage.project(daily_cap_per_number=3)
    mine, other = await stage.agent(project), await stage.agent(project)
    left: list[UUID] = []
    stage.engine.parts.agents.on_left.append(lambda agent, *_: left.append(agent.agent_id))
    since = {agent_id: stage.on_floor(agent_id).since for agent_id in (mine, other)}
    number = a_number()
    await called_today(stage, project, number, 3)
    lead_id = await a_promise(stage, project, mine, number=number)

    async def is_put_off() -> bool:
        next_at = (await get_lead(stage.pool, lead_id)).next_at
        return next_at is not None and next_at > SystemClock().now()

    await stage.until(is_put_off, "the callback put off to tomorrow")
    good = await a_promise(stage, project, mine)
    call = await stage.call()
    assert (call.lead_id, call.agent_id) == (good, mine), "the agent goes on keeping what can be kept"
    assert left == [mine], "reserved once, for the call that was made"
    assert stage.on_floor(other).since == since[other]
    assert (await get_lead(stage.pool, lead_id)).state is LeadState.CALLBACK


async def test_an_agent_reserved_in_vain_has_waited_as_long_as_before(stage: Stage) -> None:
    await stage.start(projects_every_s=60)
    project = await stage.project()
    mine = await stage.agent(project)
    waits_since = stage.on_floor(mine).waits_since
    # Taken by nobody's rule: the caller number is used up for the day, which only the claim finds out.
    await stage.pool.execute(
        "update caller_numbers set max_per_day = 1, used_today = 1, used_on = (now() at time zone zone)::date"
    )
    lead_id = await a_promise(stage, project, mine)
    left: list[AgentState] = []
    stage.engine.parts.agents.on_left.append(lambda _agent, former, _spent: left.append(former))
    await stage.until(lambda: left == [AgentState.READY, AgentState.RESERVED], "the agent ready again")
    assert stage.on_floor(mine).waits_since == waits_since < stage.on_floor(mine).since
    assert (await get_lead(stage.pool, lead_id)).state is LeadState.CALLBACK
    for _ in range(8):
        await stage.engine.parts.dialling.keep_promises()
    assert len(left) == 2, "and the project's callbacks rest a moment before it is tried again"

"""Moving agents through an engine: it holds from the next call on, and nobody waits for an agent who is free for them."""

from __future__ import annotations

import asyncio

import pytest

from campaigns.teams import move
from dialer.domain.commands import ReloadProject
from dialer.domain.states import AgentState
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def test_an_agent_who_is_moved_finishes_the_call_at_hand_and_gets_the_next_of_the_other_project(
    stage: Stage,
) -> None:
    await stage.start()
    former, later = await stage.project(), await stage.project()
    await stage.leads(former, 3)
    await stage.leads(later, 3)
    agent_id = await stage.agent(former)
    call = await stage.call()
    assert (await stage.asterisk.answer(call.attempt_id))["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "the conversation")
    await move(stage.pool, agent_id, {later.id: 0})
    for project in (former, later):
        await stage.engine.execute(ReloadProject(project_id=project.id))
    assert stage.on_floor(agent_id).project_ids == {later.id}
    assert stage.state(agent_id) is AgentState.TALKING
    stage.asterisk.hang_up(call.attempt_id)
    following = await stage.call()
    assert following.project_id == later.id
    assert await stage.pool.fetchval("select count(*) from attempts where project_id = $1", former.id) == 1


async def test_a_customer_who_waits_gets_an_agent_the_moment_one_is_moved_to_their_project(stage: Stage) -> None:
    await stage.start()
    project, other = await stage.project(agent_wait_ms=5000), await stage.project()
    await stage.leads(project, 1)
    first = await stage.agent(project)
    call = await stage.call()
    await move(stage.pool, first, {})
    await stage.engine.execute(ReloadProject(project_id=project.id))
    idle = await stage.agent(other)
    answer = asyncio.get_running_loop().create_task(stage.asterisk.answer(call.attempt_id))
    await stage.until(lambda: stage.engine.parts.floor.waiting, "the customer waiting")
    await move(stage.pool, idle, {project.id: 0})
    await stage.engine.execute(ReloadProject(project_id=project.id))
    assert (await answer)["WAIHU_ACTION"] == "bridge"
    assert call.agent_id == idle

"""Who cannot stay: a removed device, an agent of another node, an engine that is told to stop. Nobody is left half logged in, and no customer unserved."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest

from dialer.domain.commands import AgentLogin, AgentReady, RemoveDevice
from dialer.domain.errors import Conflict
from dialer.domain.states import AgentState, CallState
from dialer.engine.floor import Call
from tests.builders import a_device, an_agent
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def remove_device_of(stage: Stage, agent_id: UUID) -> UUID:
    device_id: UUID = await stage.pool.fetchval(
        "update devices set removed_at = now() where agent_id = $1 returning id", agent_id
    )
    return device_id


async def test_agent_whose_device_is_removed_is_logged_out_at_once_when_idle(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    await stage.engine.execute(RemoveDevice(device_id=await remove_device_of(stage, agent_id)))
    assert stage.state(agent_id) is AgentState.LOGGED_OUT
    await stage.until(lambda: not stage.asterisk.seats, "the seat hung up")


async def test_agent_whose_device_is_removed_finishes_the_conversation_and_gets_no_other(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    await stage.engine.execute(RemoveDevice(device_id=await remove_device_of(stage, agent_id)))
    await stage.engine.execute(AgentReady(agent_id=agent_id))
    assert call.state is CallState.BRIDGED
    stage.asterisk.hang_up(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.LOGGED_OUT, "logged out after the call")
    await stage.until(lambda: not stage.asterisk.seats, "the seat hung up")
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "connected"
    assert len(stage.asterisk.sent_calls()) == 1


async def test_agent_whose_device_was_removed_while_no_engine_ran_is_logged_out_by_the_next(stage: Stage) -> None:
    await stage.start()
    agent_id = await stage.agent(await stage.project())
    await stage.engine.parts.journal.flushed(5)
    await stage.die()
    await remove_device_of(stage, agent_id)
    await stage.start()
    await stage.engine.parts.journal.flushed(5)
    assert await stage.pool.fetchval("select count(*) from agent_live where agent_id = $1", agent_id) == 0
    open_stays = "select count(*) from agent_times where agent_id = $1 and ended_at is null"
    assert await stage.pool.fetchval(open_stays, agent_id) == 0
    await stage.until(lambda: not stage.asterisk.seats, "the seat hung up")


async def logged_in_elsewhere(pool: asyncpg.Pool, agent_id: UUID, *, lease: str) -> None:
    await pool.execute(
        "insert into nodes (name, holder, lease_until) values ('other', gen_random_uuid(), now() + $1::text::interval)",
        lease,
    )
    await pool.execute(
        """insert into agent_live (agent_id, node, state, wanted, since, logged_in_at)
        values ($1, 'other', 'talking', 'ready', now(), now())""",
        agent_id,
    )


@pytest.mark.parametrize("lease", ["1 hour", "-1 second"])
async def test_agent_who_is_logged_in_on_a_node_that_lives_is_refused_on_another(stage: Stage, lease: str) -> None:
    await stage.start()
    agent_id = await an_agent(stage.pool, projects=[(await stage.project()).id])
    login = AgentLogin(agent_id=agent_id, device_id=await a_device(stage.pool, agent_id), wanted="break")
    await logged_in_elsewhere(stage.pool, agent_id, lease=lease)
    if lease == "1 hour":
        with pytest.raises(Conflict) as refusal:
            await stage.engine.execute(login)
        assert (refusal.value.error_id, refusal.value.detail["node"]) == ("already_logged_in", "other")
        assert await stage.pool.fetchval("select node from agent_live where agent_id = $1", agent_id) == "other"
    else:
        await stage.engine.execute(login)
        await stage.until(lambda: stage.on_floor(agent_id).seated, "seat")


async def a_ringing_call(stage: Stage) -> tuple[UUID, Call]:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.ring(call.attempt_id)
    await stage.until(lambda: call.state is CallState.RINGING, "ringing")
    return agent_id, call


async def test_customer_who_answers_while_the_engine_is_told_to_stop_is_served(stage: Stage) -> None:
    agent_id, call = await a_ringing_call(stage)
    drained = asyncio.get_running_loop().create_task(stage.engine.drain())
    await stage.until(lambda: stage.engine.obstacle() is not None, "no new calls")
    assert not drained.done()
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await drained
    assert stage.state(agent_id) is AgentState.TALKING
    assert len(stage.asterisk.sent_calls()) == 1


async def test_engine_that_is_told_to_stop_waits_for_no_call_that_is_over(
    stage: Stage,
) -> None:
    _, call = await a_ringing_call(stage)
    drained = asyncio.get_running_loop().create_task(stage.engine.drain())
    stage.asterisk.refuse(call.attempt_id, 17, "SIP 486 Busy Here")
    await drained
    assert len(stage.asterisk.sent_calls()) == 1


async def test_engine_that_lost_asterisk_is_not_kept_from_its_stop_by_what_rang(stage: Stage) -> None:
    _, call = await a_ringing_call(stage)
    await stage.asterisk.fake.stop()
    await stage.until(lambda: not stage.engine.asterisk_up, "a lost session")
    await stage.engine.drain()
    assert call.state is CallState.RINGING

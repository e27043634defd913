"""Everything around a conversation dies, and the conversation does not: real processes, real SIGKILL."""

from __future__ import annotations

import asyncio
import time

import pytest

from dialer.domain.commands import AgentLogin, HangUp
from dialer.domain.errors import Conflict, Unavailable
from dialer.domain.states import AgentState, CallState
from dialer.engine import Engine
from dialer.live.control import RemoteEngine
from lab.postgres import Postgres
from tests.builders import NODE, an_agent
from tests.system.engine.conftest import Floor

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]


async def bridged_channels(floor: Floor) -> int:
    return (await floor.node.console("core show channels concise")).count("!Bridge!")


async def test_engine_killed_in_mid_call_is_replaced_and_adopts_within_five_seconds(floor: Floor) -> None:
    project = await floor.project()
    process = await floor.start_process()
    remote = RemoteEngine(f"http://127.0.0.1:{process.control_port}", "system-test")  # type: ignore[attr-defined]
    agent_id = await an_agent(floor.pool, projects=[project.id])
    floor.agents.append(agent_id)
    await floor.pool.execute("update devices set agent_id = $1 where id = $2", agent_id, floor.devices[0])
    login = AgentLogin(agent_id=agent_id, device_id=floor.devices[0], wanted="ready")

    async def logged_in() -> bool:
        try:
            await remote.execute(login)
        except Unavailable:
            return False
        return True

    await floor.until(logged_in, "engine process", 20)
    await floor.lead(project, ring=0)

    async def is_bridged() -> bool:
        found: int = await floor.pool.fetchval("select count(*) from attempts where state = 'bridged'")
        return found == 1

    await floor.until(is_bridged, "conversation", 20)
    process.kill()
    assert await bridged_channels(floor) == 1

    async def lease_over() -> bool:
        over: bool = await floor.pool.fetchval("select lease_until < now() from nodes where name = $1", NODE)
        return over

    await floor.until(lease_over, "the end of the dead engine's lease", 10)
    began = time.monotonic()
    await floor.start()
    assert time.monotonic() - began < 5
    [call] = floor.engine.parts.floor.calls.values()
    assert call.state is CallState.BRIDGED
    assert floor.state(agent_id) is AgentState.TALKING
    await floor.engine.execute(HangUp(agent_id=agent_id))
    [row] = await floor.ended(1)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await floor.becomes(agent_id, AgentState.READY)
    await remote.close()


async def test_call_that_ends_while_no_engine_lives_is_recorded_from_the_records_of_asterisk(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=0, talk=4)
    await floor.talking(agent_id)
    await floor.engine.parts.journal.flushed(5)
    await floor.die()

    async def is_over() -> bool:
        return await bridged_channels(floor) == 0

    await floor.until(is_over, "the end of the conversation", 15)
    await floor.start()
    [row] = await floor.ended(1)
    assert row["outcome"] == "connected"
    assert row["hangup_cause"] is not None or row["ended_at"] < row["created_at"].__class__.now(
        row["created_at"].tzinfo
    )
    await floor.becomes(agent_id, AgentState.READY)


async def test_asterisk_killed_in_a_conversation_ends_the_call_and_seats_the_agent_when_it_is_back(
    floor: Floor,
) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=0)
    await floor.talking(agent_id)
    floor.node.kill()
    await floor.until(lambda: not floor.engine.asterisk_up, "the loss of Asterisk", 15)
    assert floor.engine.obstacle() is not None
    await floor.node.revive()
    [row] = await floor.ended(1, timeout_s=20)
    assert row["outcome"] == "connected"
    await floor.until(
        lambda: floor.state(agent_id) is AgentState.READY and floor.on_floor(agent_id).seated, "a new seat", 40
    )


async def test_postgresql_killed_while_talking_changes_nothing_for_the_customer_and_is_caught_up(
    floor: Floor, postgres: Postgres
) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=4, talk=5)
    await floor.until(
        lambda: any(c.state is CallState.RINGING for c in floor.engine.parts.floor.calls.values()), "ringing", 10
    )
    postgres.kill()
    try:
        call = await floor.talking(agent_id)
        assert call.state is CallState.BRIDGED
        await floor.becomes(agent_id, AgentState.READY, 15)
        assert not floor.engine.parts.floor.calls
    finally:
        await postgres.start()
    [row] = await floor.ended(1, timeout_s=20)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    await floor.lead(project, ring=0, talk=0)
    assert len(await floor.ended(2, timeout_s=20)) == 2


async def test_second_engine_for_the_node_is_refused_with_a_clear_error(floor: Floor) -> None:
    await floor.start()
    second = Engine(floor.telephony.config(agi_port=0), floor.pool)
    with pytest.raises(Conflict, match=NODE) as refusal:
        await second.start()
    assert refusal.value.error_id == "node_taken"


async def test_customer_of_a_dead_engine_gets_the_safe_harbour(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="ratio", ratio=1)
    await floor.agent(project)
    await floor.lead(project, ring=4)
    await floor.until(
        lambda: any(c.state is CallState.RINGING for c in floor.engine.parts.floor.calls.values()), "ringing", 10
    )
    await floor.engine.parts.journal.flushed(5)
    await floor.die()

    async def in_safe_harbour() -> bool:
        return "waihu-safe-harbour" in await floor.node.console("core show channels concise")

    await floor.until(in_safe_harbour, "safe harbour", 15)
    await floor.start()
    [row] = await floor.ended(1, timeout_s=30)
    assert (row["outcome"], row["abandoned"]) == ("abandoned", True)


async def test_frozen_asterisk_is_noticed_and_nothing_is_dialled_twice(floor: Floor) -> None:
    await floor.start(action_deadline_s=1.0)
    project = await floor.project()
    agent_id = await floor.agent(project)
    floor.node.freeze()
    try:
        await floor.lead(project, ring=0, talk=1)

        async def has_tried() -> bool:
            return bool(await floor.attempts())

        await floor.until(has_tried, "an attempt at a frozen Asterisk", 10)
        await asyncio.sleep(1.5)
    finally:
        floor.node.thaw()
    await floor.ended(1, timeout_s=30)
    await floor.becomes(agent_id, AgentState.READY, 30)
    reached = [record.number for record in floor.telephony.carrier.cdr() if record.number in floor.numbers]
    assert len(reached) == len(set(reached)) <= 1

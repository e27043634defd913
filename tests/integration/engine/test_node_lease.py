"""One engine for one node: a killed one is followed at once, one that was stopped for a while has lost its node and dials nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from campaigns.caller_numbers.number import Offer
from campaigns.claim import ClaimRequest, claim
from campaigns.gates import openings
from dialer.db import nodes
from dialer.domain.commands import AgentLogin
from dialer.domain.errors import Unavailable
from dialer.domain.ids import uuid7
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import SystemClock
from dialer.engine.lease import NodeLease
from dialer.engine.tasks import TaskSet
from dialer.live.control import RemoteEngine
from lab.ports import free_port
from lab.process import ChildProcess
from tests.builders import NODE, a_device, an_agent
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(90)]

TOKEN = "lease-test"


async def a_process(stage: Stage, database_url: str, directory: Path, **changes: object) -> tuple[ChildProcess, int]:
    """An engine in a process of its own; and its control port."""
    port = free_port()
    settings = asdict(stage.config) | {"control_port": port, "control_token": TOKEN} | changes
    process = ChildProcess(
        [sys.executable, "-m", "tests.system.engine.engine_process"],
        directory / "engine.log",
        dict(os.environ) | {"ENGINE_CONFIG": json.dumps(settings, default=str), "ENGINE_DATABASE": database_url},
    )
    await process.start()
    return process, port


async def log_in(stage: Stage, port: int, *, project_id: object) -> None:
    agent_id = await an_agent(stage.pool, projects=[project_id])  # type: ignore[list-item]
    login = AgentLogin(agent_id=agent_id, device_id=await a_device(stage.pool, agent_id), wanted="ready")
    remote = RemoteEngine(f"http://127.0.0.1:{port}", TOKEN)

    async def is_logged_in() -> bool:
        try:
            await remote.execute(login)
        except Unavailable:
            return False
        return True

    await stage.until(is_logged_in, "engine process", 30)
    await remote.close()

    async def is_ready() -> bool:
        state: str | None = await stage.pool.fetchval("select state from agent_live where agent_id = $1", agent_id)
        return state == AgentState.READY

    await stage.until(is_ready, "agent", 10)


async def test_engine_that_was_stopped_while_another_took_its_node_dials_nothing_when_it_wakes(
    stage: Stage, database_url: str, tmp_path: Path
) -> None:
    project = await stage.project()
    process, port = await a_process(stage, database_url, tmp_path, lease_s=2.0)
    try:
        await log_in(stage, port, project_id=project.id)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        await stage.leads(project, 3)
        other = uuid4()

        async def is_taken() -> bool:
            free: bool = await stage.pool.fetchval(
                "select lease_until < clock_timestamp() from nodes where name = $1", NODE
            )
            if free:
                async with stage.pool.acquire() as conn:
                    await nodes.acquire(conn, NODE, other, lease_s=60)
            return free

        await stage.until(is_taken, "the other engine owns the node", 10)
        os.kill(process.pid, signal.SIGCONT)
        await stage.until(lambda: not process.running, "the end of the engine that woke", 20)
        assert stage.asterisk.sent_calls() == []
        assert await stage.pool.fetchval("select count(*) from attempts") == 0
        assert await stage.pool.fetchval("select holder from nodes where name = $1", NODE) == other
    finally:
        process.kill()


async def test_killed_engine_is_followed_and_its_call_adopted_within_five_seconds(
    stage: Stage, database_url: str, tmp_path: Path
) -> None:
    project = await stage.project()
    lease_s = stage.config.lease_s
    process, port = await a_process(stage, database_url, tmp_path)
    await log_in(stage, port, project_id=project.id)
    await stage.leads(project, 1)
    await stage.until(stage.asterisk.sent_calls, "a call", 10)
    process.kill()
    await stage.until(lambda: not process.running, "death", 5)
    began_s = asyncio.get_running_loop().time()
    while True:
        try:
            await stage.start()
            break
        except Exception as error:
            if getattr(error, "error_id", "") != "node_taken":
                raise
            await asyncio.sleep(0.1)
    assert asyncio.get_running_loop().time() - began_s < 5
    assert lease_s <= 3
    [call] = stage.engine.parts.floor.calls.values()
    assert stage.asterisk.sent_calls() == [call.channel_id]


async def test_call_that_was_claimed_before_the_lease_became_uncertain_is_not_sent(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.engine.parts.projects.refresh()
    [lead_id] = await stage.leads(project, 1)
    assert project.trunk is not None
    now = SystemClock().now()
    request = ClaimRequest(
        project_id=project.id,
        node=NODE,
        trunk_id=project.trunk.id,
        mode=project.mode,
        now=now,
        attempt_ids=(uuid7(now, bytes(10)),),
        offers=(Offer(number=project.caller_numbers[0].number, room=1),),
        openings=openings(project, now),
        holder=stage.engine.run_id,
    )
    [claimed] = await claim(stage.pool, request)
    sending = stage.engine.parts.sending
    call = sending.begin(project, claimed, Mode.PROGRESSIVE)
    stage.engine._lease._until_s = float("-inf")  # as after a pause longer than the lease
    await sending.send([call], project, project.trunk)
    assert (call.state, stage.asterisk.sent_calls()) == (CallState.ENDED, [])
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "not_sent"
    assert await stage.pool.fetchval("select attempts from leads where id = $1", lead_id) == 0


async def test_lease_that_ran_out_is_not_held_until_postgresql_gave_it_anew(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = NodeLease(stage.pool, NODE, uuid4(), lease_s=60, control_url=None, clock=SystemClock())
    await lease.acquire()
    acquire, tries = nodes.acquire, 0

    async def acquire_in_vain(*_arguments: Any, **_settings: Any) -> None:
        nonlocal tries
        tries += 1
        raise OSError("the server went away")

    monkeypatch.setattr(nodes, "acquire", acquire_in_vain)
    await stage.pool.execute("update nodes set lease_until = now() - interval '1 second' where name = $1", NODE)
    lease._lease_s = 0.2  # what was acquired goes on for a minute; it is asked for every 50 ms
    lost: list[bool] = []
    tasks = TaskSet()
    tasks.spawn("lease", lease.keep(lambda: lost.append(True)))
    try:
        await stage.until(lambda: tries > 1, "a round that is over")
        assert (lease.held, lost) == (False, [])
        monkeypatch.setattr(nodes, "acquire", acquire)
        await stage.until(lambda: lease.held, "the lease anew")
    finally:
        await tasks.close()

"""The programs as processes on a real Asterisk: all in one, apart, twice for one node, stopped in order, and examined by the doctor."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.api_client import ApiClient
from lab.containers import ensure_image
from lab.floor import ADMIN, Floor, run_directory
from lab.process import ChildProcess
from lab.staff import Staffed, furnish
from lab.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    """A whole floor of this test's own."""
    ensure_image()
    name = f"cli-test-{os.getpid()}"
    made = Floor(run_directory(name), time_scale=0.1, fsync=False, name=name, rtp_ports=60)
    try:
        await made.start(lambda _step: None)
        yield made
    finally:
        await made.stop()
        await asyncio.to_thread(shutil.rmtree, made.run_dir, ignore_errors=True)


def waihu(floor: Floor, *arguments: str) -> ChildProcess:
    """A program with the floor's settings."""
    return ChildProcess(
        [sys.executable, "-m", "dialer", *arguments],
        floor.run_dir / f"{arguments[0]}.log",
        {"WAIHU_CONFIG": str(floor.config_path)},
    )


async def command(floor: Floor, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with the floor's settings, to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "dialer", *arguments],
        env={**os.environ, "WAIHU_CONFIG": str(floor.config_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def furnished(floor: Floor, agents: int = 1) -> tuple[Staffed, ApiClient]:
    api = ApiClient(floor.url)
    await api.__aenter__()
    await api.log_in(ADMIN, floor.admin_password)
    return await furnish(api, agents=agents, project={}), api


async def agent_sits_down(staffed: Staffed, floor: Floor) -> None:
    """An agent logs in through the API and is seated on the softphone."""
    seat = staffed.seats[0]
    await floor.start_phones([seat.account])
    async with ApiClient(floor.url) as desk:
        await desk.log_in(seat.login, seat.password)
        await desk.post("/desk/me/login", {"device_id": seat.device_id, "wanted": "ready"})

        async def ready() -> bool:
            return bool((await desk.get("/desk/me"))["state"] == "ready")

        await wait_until(ready, timeout_s=15, what="a seated agent, as the API shows it")


async def test_orderly_stop_is_quick_and_says_so(floor: Floor) -> None:
    began = asyncio.get_running_loop().time()
    floor.waihu.send_signal(signal.SIGTERM)
    assert await floor.waihu.wait_ended(20) == 0
    assert asyncio.get_running_loop().time() - began < 10
    log = floor.waihu.log_path.read_text(encoding="utf-8")  # small, local
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines][-2:] == ["Stopping", "Stopped"]


async def test_second_engine_for_one_node_is_refused_with_a_sentence(floor: Floor) -> None:
    second = await command(floor, "serve")
    assert second.returncode == 4
    assert "node_taken" in second.stderr
    assert "Traceback" not in second.stderr
    assert floor.waihu.running


async def test_port_of_another_program_is_told(floor: Floor) -> None:
    await floor.waihu.stop()
    taken = waihu(floor, "engine")
    blocker = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", floor.ports.web)
    async with blocker:
        second = await command(floor, "serve")
    assert second.returncode == 4
    assert "web_port_taken" in second.stderr
    assert not taken.running


async def test_successor_of_a_killed_engine_does_not_wait_for_its_lease(floor: Floor) -> None:
    floor.waihu.kill()
    await floor.start_waihu()
    log = floor.waihu.log_path.read_text(encoding="utf-8")  # small, local
    assert "Following an engine that has died" in log


async def test_engine_web_and_recorder_apart_serve_an_agent(floor: Floor) -> None:
    await floor.waihu.stop()
    parts = [waihu(floor, name) for name in ("engine", "web", "recorder")]
    for part in parts:
        await part.start()
    try:
        await wait_until(floor.serves, timeout_s=30, what="the web process")
        staffed, api = await furnished(floor)
        await agent_sits_down(staffed, floor)
        assert (await api.get(f"/projects/{staffed.project_id}/why"))["why"]
        await api.post(f"/projects/{staffed.project_id}/start")
        await api.__aexit__(None, None, None)
        said = await command(floor, "--json", "why", "project", str(staffed.project_id))
        assert json.loads(said.stdout)["sentence"]
        paused = await command(floor, "project", "pause", "Demo")
        assert "paused" in paused.stdout
    finally:
        for part in parts:
            await part.stop()
    assert [part.returncode for part in parts] == [0, 0, 0]


async def test_doctor_finds_a_running_floor_well_and_sees_what_is_broken(floor: Floor) -> None:
    _, api = await furnished(floor)
    await api.__aexit__(None, None, None)

    async def examined() -> dict[str, dict[str, str]]:
        said = await command(floor, "--json", "doctor")
        return {finding["subject"]: finding for finding in json.loads(said.stdout)}

    async def trunk_was_asked() -> bool:
        return (await examined())["trunk carrier"]["level"] == "ok"

    await wait_until(trunk_was_asked, timeout_s=30, what="the first answer of the trunk to OPTIONS")
    well = await examined()
    for subject in (
        "asterisk",
        "ami rights",
        "modules",
        "agi",
        "trunk carrier",
        "web port",
        "control port",
        "agi port",
        "schema",
        "redis",
    ):
        assert well[subject]["level"] == "ok", well[subject]
    floor.carrier.kill()
    await wait_until(
        lambda: _level_is(floor, "trunk carrier", "fault"), timeout_s=60, what="the fault of a trunk that is down"
    )
    floor.node.kill()
    floor.redis.kill()
    broken = await examined()
    assert (broken["asterisk"]["level"], broken["agi"]["level"], broken["redis"]["level"]) == (
        "fault",
        "fault",
        "warning",
    )
    assert all(finding["do"] for finding in broken.values() if finding["level"] != "ok")


async def _level_is(floor: Floor, subject: str, level: str) -> bool:
    said = await command(floor, "--json", "doctor", "--only", "trunks")
    return any(finding["subject"] == subject and finding["level"] == level for finding in json.loads(said.stdout))


def test_settings_that_cannot_be_used_stop_the_start_with_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dialer", "serve"],
        env={**os.environ, "WAIHU_WEB_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert "WAIHU_WEB_PORT" in done.stderr
    assert "Traceback" not in done.stderr

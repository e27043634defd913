"""The disk of the recordings runs full under the real Asterisk: dialling stops first and says why, conversations go on, and it begins again by itself."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from dialer.domain.commands import HangUp
from dialer.domain.states import AgentState, CallState
from dialer.engine import Engine
from dialer.engine.clock import SystemClock
from lab.asterisk_node import AsteriskNode
from recorder.service import Recorder
from recorder.settings import RecorderSettings
from tests.system.engine.conftest import Floor, Telephony, a_telephony

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

SPOOL = "/var/spool/asterisk/monitor/waihu"
DISK_BYTES = 4 << 20
FLOOR_BYTES = 2 << 20
FILLER = "filler"


class NodeOnASmallDisk(AsteriskNode):
    """Its spool is a memory disk of 4 MiB inside the container; we see it through the container's root."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.container.mounts.pop(self.spool_dir)
        self.container._options += ["--tmpfs", f"{SPOOL}:size={DISK_BYTES},mode=0777"]

    async def start(self, *, timeout_s: float = 30.0) -> None:
        await super().start(timeout_s=timeout_s)
        self.spool_dir = Path(f"/proc/{self.pid}/root{SPOOL}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def telephony(run_dir: Path) -> AsyncIterator[Telephony]:
    async with a_telephony(run_dir, "full", node_type=NodeOnASmallDisk) as one:
        yield one


@asynccontextmanager
async def recording(floor: Floor, store_dir: Path) -> AsyncIterator[Recorder]:
    """A recorder on the node's spool, and an engine that listens to it."""
    settings = RecorderSettings(
        spool_dir=floor.node.spool_dir,
        store_dir=store_dir,
        spool_floor_bytes=FLOOR_BYTES,
        store_floor_bytes=1,
        space_every_s=0.1,
        reconcile_every_s=1.0,
        settle_s=1.0,
        legs_deadline_s=8.0,
    )
    recorder = Recorder(floor.pool, settings, clock=SystemClock().now)
    await recorder.start()
    engine = Engine(floor.telephony.config(), floor.pool, room=recorder.room, on_ended=recorder.signal)
    await engine.start()
    floor.engines.append(engine)
    try:
        await floor.until(lambda: engine.ready, "adoption", 10)
        yield recorder
    finally:
        (floor.node.spool_dir / FILLER).unlink(missing_ok=True)
        await recorder.stop()


def fill(floor: Floor, *, leave_bytes: int) -> None:
    """Somebody else's file takes the room."""
    free = os.statvfs(floor.node.spool_dir)
    with (floor.node.spool_dir / FILLER).open("ab", buffering=0) as file:
        rest = free.f_bavail * free.f_frsize - leave_bytes
        while rest > 0:
            try:
                rest -= file.write(b"\0" * min(rest, 65_536))
            except OSError:
                return


async def recording_of(floor: Floor, attempt_id: object, timeout_s: float = 30.0) -> dict[str, Any]:
    async def settled() -> dict[str, Any] | None:
        row = await floor.pool.fetchrow(
            "select state, reason, duration_ms from recordings where attempt_id = $1 and state <> 'pending'", attempt_id
        )
        return dict(row) if row else None

    await floor.until(settled, "the recording", timeout_s)
    found = await settled()
    assert found is not None
    return found


async def test_dialling_stops_with_its_reason_before_a_recording_suffers_and_goes_on_when_there_is_room(
    floor: Floor, tmp_path: Path
) -> None:
    with capture_logs() as logged:
        async with recording(floor, tmp_path) as recorder:
            project = await floor.project()
            agent_id = await floor.agent(project)
            await floor.lead(project, ring=0)
            call = await floor.talking(agent_id)
            fill(floor, leave_bytes=FLOOR_BYTES - 300_000)
            await floor.until(lambda: recorder.room().blocked, "the measurement")
            await floor.lead(project, ring=0, talk=0)
            await floor.until(lambda: so_long_since(call.answered_s, 1.5), "some talk")
            await floor.engine.execute(HangUp(agent_id=agent_id))
            [first] = await floor.ended(1)
            await floor.becomes(agent_id, AgentState.READY)
            await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "recording", "the reason")
            assert "spool_full" in str(floor.engine.explain_project(project.id))
            kept = await recording_of(floor, first["id"])
            assert kept["state"] == "stored"
            lasted_ms = (first["ended_at"] - first["answered_at"]).total_seconds() * 1000
            assert abs(kept["duration_ms"] - lasted_ms) < 1000
            assert len(await floor.attempts()) == 1

            (floor.node.spool_dir / FILLER).unlink()
            rows = await floor.ended(2)
            assert [row["outcome"] for row in rows] == ["connected", "connected"]
    loud = [entry for entry in logged if entry["event"] == "Recording is blocked: dialling stops"]
    assert [entry["log_level"] in {"error", "critical", "warning"} for entry in loud] == [True]
    assert loud[0]["reason"] == "spool_full"


async def test_disk_without_a_byte_cuts_no_conversation_and_the_recording_is_kept_as_far_as_it_goes(
    floor: Floor, tmp_path: Path
) -> None:
    async with recording(floor, tmp_path) as recorder:
        project = await floor.project()
        agent_id = await floor.agent(project)
        await floor.lead(project, ring=0)
        call = await floor.talking(agent_id)
        await floor.until(lambda: so_long_since(call.answered_s, 3.0), "sound in the spool")
        fill(floor, leave_bytes=0)
        await floor.until(lambda: recorder.room().blocked, "the measurement")
        await floor.until(lambda: so_long_since(call.answered_s, 5.0), "talk on a full disk")
        assert call.state is CallState.BRIDGED
        await floor.engine.execute(HangUp(agent_id=agent_id))
        [row] = await floor.ended(1)
        assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
        await floor.becomes(agent_id, AgentState.READY)
        kept = await recording_of(floor, row["id"])
        assert kept["state"] == "stored" or kept["reason"]

        (floor.node.spool_dir / FILLER).unlink()
        await floor.lead(project, ring=0, talk=2)
        rows = await floor.ended(2)
        assert rows[1]["outcome"] == "connected"
        assert (await recording_of(floor, rows[1]["id"]))["state"] == "stored"


def so_long_since(since_s: float, seconds: float) -> bool:
    """Is it so long ago?"""
    return SystemClock().monotonic() - since_s >= seconds

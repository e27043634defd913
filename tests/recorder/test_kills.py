"""Invariant: kill -9 the recorder or its encoder at any step; the next start finishes the work: nothing lost, doubled or torn."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from lab.postgres import Postgres
from recorder.service import Recorder
from recorder.steps import Step
from tests.recorder.builders import a_project, an_attempt, put_legs, row_of, settings, speech, until, wav
from tests.recorder.killed_recorder import now

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

pytestmark = [pytest.mark.services, pytest.mark.faults]

_CHECKOUT = Path(__file__).resolve().parents[2]
GOOD_STEPS = [
    Step.ENCODED,
    Step.NAMED,
    Step.SYNCED,
    Step.LEDGERED,
    Step.READ_BACK,
    Step.VERIFIED,
    Step.LEG_REMOVED,
    Step.REMOVED,
]


async def recorder_process(url: str, root: Path, step: str, count: int = 1) -> asyncio.subprocess.Process:
    """A recorder that kills itself when it has done `step` for the `count`th time."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.recorder.killed_recorder",
        url,
        str(root),
        step,
        str(count),
        cwd=_CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
    )


async def run(url: str, root: Path, step: str, count: int = 1) -> int:
    """Run such a recorder to its end."""
    process = await recorder_process(url, root, step, count)
    async with asyncio.timeout(60):
        return await process.wait()


async def assert_each_is_stored_once_and_whole(pool: Pool, root: Path, calls: list[UUID]) -> None:
    """The invariant."""
    files = sorted(path for path in (root / "store").rglob("*") if path.is_file())
    rows = [await row_of(pool, call) for call in calls]
    assert all(row and row.verified_at and row.path for row in rows)
    assert files == sorted(root / "store" / (row.path or "") for row in rows if row)  # no copy twice, no .part left
    for row in rows:
        assert row is not None
        assert hashlib.sha256((root / "store" / (row.path or "")).read_bytes()).digest() == row.sha256
        assert row.duration_ms == 2000
    assert list((root / "spool").glob("*.wav")) == []


@pytest.mark.parametrize("step", GOOD_STEPS)
async def test_killed_after_any_step_the_next_start_finishes_the_work(
    step: Step, database_url: str, pool: Pool, tmp_path: Path
) -> None:
    settings(tmp_path)
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in (1, 2)]
    for call in calls:
        put_legs(tmp_path / "spool", call, wav(speech(2.0)), wav(speech(2.0)))
    assert await run(database_url, tmp_path, step) == -signal.SIGKILL
    assert await run(database_url, tmp_path, "never") == 0
    await assert_each_is_stored_once_and_whole(pool, tmp_path, calls)


@pytest.mark.parametrize("step", [Step.POISON_LEDGERED, Step.SET_ASIDE])
async def test_killed_while_setting_a_call_aside_both_its_legs_end_up_aside(
    step: Step, database_url: str, pool: Pool, tmp_path: Path
) -> None:
    settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(tmp_path / "spool", call, b"garbage", wav(speech(2.0)))
    assert await run(database_url, tmp_path, step) == -signal.SIGKILL
    assert await run(database_url, tmp_path, "never") == 0
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == ("poisoned", "not_wav")
    assert len(list((tmp_path / "spool" / "poisoned").glob("*.wav"))) == 2
    assert list((tmp_path / "spool").glob("*.wav")) == []


@pytest.mark.slow
async def test_killed_at_random_moments_nothing_is_lost_doubled_or_torn(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    settings(tmp_path)
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 41)]
    content = wav(speech(2.0))
    for call in calls:
        put_legs(tmp_path / "spool", call, content, content)
    chance = random.Random(7)
    for _ in range(8):
        process = await recorder_process(database_url, tmp_path, chance.choice(GOOD_STEPS), chance.randint(1, 5))
        assert process.stdout is not None
        async for line in process.stdout:
            if line == b"started\n":
                break
        try:
            async with asyncio.timeout(chance.uniform(0.0, 1.5)):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    assert await run(database_url, tmp_path, "never") == 0
    await assert_each_is_stored_once_and_whole(pool, tmp_path, calls)


async def test_a_killed_encoder_is_replaced_and_its_call_encoded_again(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 11)]
    killed: list[int] = []

    def kill_the_encoder(step: str, _: UUID) -> None:
        for pid in recorder.encoder_pids:
            if step == Step.REMOVED and len(killed) < 3 and pid not in killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

    recorder = Recorder(pool, settings(tmp_path), clock=now, on_step=kill_the_encoder)
    content = wav(speech(2.0))
    for call in calls:
        put_legs(tmp_path / "spool", call, content, content)
    await recorder.start()
    await recorder.settled(40)
    await recorder.stop()
    assert len(killed) == 3
    await assert_each_is_stored_once_and_whole(pool, tmp_path, calls)


@pytest.mark.parametrize("step", [Step.ENCODED, Step.LEDGERED, Step.VERIFIED])
async def test_postgresql_killed_at_a_step_costs_no_recording(
    step: Step, postgres: Postgres, database_url: str, pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 7)]
    seen: list[UUID] = []

    def kill_the_database(done: str, call: UUID) -> None:
        if done == step:
            seen.append(call)
            if len(seen) == 2:
                postgres.kill()

    content = wav(speech(2.0))
    of = settings(tmp_path)
    for call in calls:
        put_legs(of.spool_dir, call, content, content)
    async with asyncpg.create_pool(database_url, min_size=1, max_size=3) as own:
        recorder = Recorder(own, of, clock=now, on_step=kill_the_database)
        await recorder.start()

        async def killed() -> bool:
            return len(seen) >= 2

        await until(killed, "the kill")
        await postgres.start()
        await recorder.settled(40)
        await recorder.stop()
    await assert_each_is_stored_once_and_whole(pool, tmp_path, calls)


async def test_the_encoder_ends_when_its_recorder_is_killed(database_url: str, pool: Pool, tmp_path: Path) -> None:
    settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    content = wav(speech(2.0))
    put_legs(tmp_path / "spool", call, content, content)
    process = await recorder_process(database_url, tmp_path, Step.ENCODED)
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    line = next(line for line in out.decode().splitlines() if line.startswith("encoders"))
    encoders = [int(pid) for pid in line.split()[1:]]
    assert encoders

    async def gone() -> bool:
        return not any(_is_encoder(pid) for pid in encoders)

    await until(gone, "the end of the orphaned encoder")


def _is_encoder(pid: int) -> bool:
    try:
        return b"recorder.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

"""Calls that cannot be encoded are set aside with their reason, and never block the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from recorder import ledger
from recorder.encoder import Encoder
from recorder.ledger import RecordingState
from tests.recorder.builders import (
    Running,
    a_project,
    an_attempt,
    attempt_id,
    put_legs,
    row_of,
    settings,
    speech,
    wav,
)

pytestmark = pytest.mark.services

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.mark.parametrize(
    ("customer", "reason"),
    [
        (b"MZ" + b"\0" * 5000, "not_wav"),
        (wav(speech(1.0), channels=2), "not_mono_16bit"),
        (wav(speech(1.0), rate_hz=16000), "rates_differ"),
        (wav(speech(1.0), rate_hz=44100), "not_mono_16bit"),
        (wav(speech(1.0))[:12] + b"data\xff\xff\xff\x7f" + b"\0" * 100, "not_wav"),
    ],
)
async def test_a_poisoned_leg_is_set_aside_with_its_reason_and_the_next_call_is_stored(
    pool: Pool, tmp_path: Path, customer: bytes, reason: str
) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    bad, good = await an_attempt(pool, 1), await an_attempt(pool, 2)
    put_legs(of.spool_dir, bad, customer, wav(speech(2.0)))
    put_legs(of.spool_dir, good, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        recorder.signal(bad)
        recorder.signal(good)
        await recorder.settled(20)
        assert (recorder.counts().poisoned, recorder.counts().stored) == (1, 1)
    row = await row_of(pool, bad)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.POISONED, reason)
    folder = of.spool_dir / "poisoned"
    assert sorted(path.name for path in folder.iterdir()) == [f"{bad.hex}-r.wav", f"{bad.hex}-t.wav", f"{bad.hex}.json"]
    assert json.loads((folder / f"{bad.hex}.json").read_text())["reason"] == reason
    assert (folder / f"{bad.hex}-r.wav").read_bytes() == customer  # evidence: not a byte of it changed


async def test_a_call_that_was_set_aside_can_be_tried_again(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, b"garbage", wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
        (of.spool_dir / "poisoned" / f"{call.hex}-r.wav").write_bytes(wav(speech(2.0)))  # somebody mended it
        async with pool.acquire() as conn:
            assert await ledger.retry_poisoned(conn, call, of.spool_dir)
            assert not await ledger.retry_poisoned(conn, call, of.spool_dir)
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.state is RecordingState.STORED
    assert list((of.spool_dir / "poisoned").iterdir()) == []


@pytest.mark.faults
@pytest.mark.parametrize("state", ["pending", "missing"])  # at once, and when its row has waited too long
async def test_a_retry_that_was_killed_halfway_can_be_done_again(pool: Pool, tmp_path: Path, state: str) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, b"garbage", wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    (of.spool_dir / "poisoned" / f"{call.hex}-r.wav").write_bytes(wav(speech(2.0)))
    await pool.execute("update recordings set state = $1, reason = 'legs_never_came'", state)
    async with pool.acquire() as conn:
        assert await ledger.retry_poisoned(conn, call, of.spool_dir)
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.state is RecordingState.STORED


async def test_an_encoder_that_dies_on_one_call_costs_only_that_call(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = settings(tmp_path, tries=2)
    await a_project(pool)
    deadly, good = await an_attempt(pool, 1), await an_attempt(pool, 2)
    encode = Encoder.encode

    async def kill_on_the_deadly(self: Encoder, order: Any) -> Any:
        if deadly.hex in order.customer.name:
            process = await self._running()
            process.kill()
        return await encode(self, order)

    monkeypatch.setattr(Encoder, "encode", kill_on_the_deadly)
    for call in (deadly, good):
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(30)
    rows = [await row_of(pool, call) for call in (deadly, good)]
    assert [row and (row.state, row.reason) for row in rows] == [
        (RecordingState.POISONED, "encoder_died"),
        (RecordingState.STORED, None),
    ]


async def test_an_encoder_that_hangs_is_ended_and_the_call_set_aside(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, tries=1, encode_timeout_s=0.0)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(20.0)), wav(speech(20.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
        assert recorder.encoder_pids == []
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.POISONED, "encoder_stalled")


async def test_legs_of_an_attempt_nobody_knows_are_set_aside_not_thrown_away(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, stray_after_s=0.2)
    stray = attempt_id(99)
    put_legs(of.spool_dir, stray, wav(speech(1.0)), None)
    (of.spool_dir / "notes.txt").write_text("not ours")
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    assert (of.spool_dir / "poisoned" / f"{stray.hex}-r.wav").exists()
    assert (of.spool_dir / "notes.txt").exists()

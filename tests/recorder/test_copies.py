"""The stored copy is read back before the legs go; what is damaged is found and made good."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder.ledger import RecordingState
from tests.recorder.builders import (
    NOW,
    Running,
    a_project,
    an_attempt,
    put_legs,
    row_of,
    settings,
    speech,
    wav,
)

pytestmark = pytest.mark.services

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


async def test_a_flipped_byte_in_the_store_before_the_check_is_found_and_made_good_from_the_legs(
    pool: Pool, tmp_path: Path
) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    flipped: list[int] = []

    def flip(step: str, which: UUID) -> None:
        if step == "ledgered" and not flipped:
            path = next(of.store_dir.rglob(f"{which.hex}.opus"))
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0x10
            path.write_bytes(content)
            flipped.append(1)

    async with Running(pool, of, on_step=flip) as recorder:
        await recorder.settled(20)
        assert recorder.counts().retried == 1
    row = await row_of(pool, call)
    assert row is not None
    assert row.path is not None
    assert row.verified_at is not None
    assert hashlib.sha256((of.store_dir / row.path).read_bytes()).digest() == row.sha256


async def test_a_store_that_always_gives_back_other_bytes_sets_the_call_aside_with_its_legs(
    pool: Pool, tmp_path: Path
) -> None:
    of = settings(tmp_path, tries=2)
    await a_project(pool)
    call = await an_attempt(pool)
    content = wav(speech(2.0))
    put_legs(of.spool_dir, call, content, content)

    def damage(step: str, which: UUID) -> None:
        if step == "ledgered":
            next(of.store_dir.rglob(f"{which.hex}.opus")).write_bytes(b"other")

    async with Running(pool, of, on_step=damage) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.POISONED, "stored_copy_wrong")
    assert (of.spool_dir / "poisoned" / f"{call.hex}-t.wav").read_bytes() == content


@pytest.mark.parametrize("damage", ["none", "flipped", "gone"])
async def test_legs_that_outlived_a_verified_copy_go_only_when_the_copy_is_still_whole(
    pool: Pool, tmp_path: Path, damage: str
) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    content = wav(speech(2.0))
    put_legs(of.spool_dir, call, content, content)
    steps: list[str] = []
    async with Running(pool, of, on_step=lambda step, _: steps.append(step)) as recorder:
        await recorder.settled(20)
        path = next(of.store_dir.rglob("*.opus"))
        stored = path.read_bytes()
        if damage == "flipped":
            path.write_bytes(stored[:500] + bytes([stored[500] ^ 1]) + stored[501:])
        elif damage == "gone":
            path.unlink()
        put_legs(of.spool_dir, call, content, content)
        await recorder.settled(20)
    assert steps.count("encoded") == (1 if damage == "none" else 2)
    assert path.read_bytes() == stored
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.verified_at, row.sha256) == (RecordingState.STORED, NOW, hashlib.sha256(stored).digest())
    assert list(of.spool_dir.glob("*.wav")) == []


async def test_a_stored_copy_whose_legs_somebody_took_away_is_verified_by_itself(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
        await pool.execute("update recordings set verified_at = null")
        recorder.signal(call)
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.verified_at == NOW

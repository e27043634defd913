"""Recordings that have been taken in before: what comes back brings nothing back that has left the store, and what is in doubt is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder import ledger
from recorder.ledger import RecordingState
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import (
    NOW,
    Running,
    a_project,
    an_attempt,
    put_legs,
    row_of,
    settings,
    speech,
    until,
    wav,
)

pytestmark = pytest.mark.services

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.mark.parametrize("state", ["archived", "deleted"])
async def test_legs_that_come_back_bring_nothing_back_that_has_left_the_store(
    pool: Pool, tmp_path: Path, state: str
) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=3.0)
    async with Running(pool, of) as recorder:
        put_legs(of.spool_dir, call, wav(speech(3.0)), wav(speech(3.0, seed=4)))
        recorder.signal(call)
        await recorder.settled(20)
        row = await row_of(pool, call)
        assert row is not None
        assert row.path is not None
        (of.store_dir / row.path).unlink()
        await pool.execute("update recordings set state = $1", state)
        legs = put_legs(of.spool_dir, call, wav(speech(3.0)), wav(speech(3.0, seed=4)))
        await recorder.settled(20)
        assert not any(leg.exists() for leg in legs)
        assert recorder.counts().stored == 1
    left = await row_of(pool, call)
    assert left is not None
    assert (left.state, (of.store_dir / row.path).exists()) == (state, False)


async def test_a_copy_that_is_made_again_while_its_recording_is_deleted_does_not_stay(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=3.0)
    look = ledger.state_for_update

    async def deleted_meanwhile(conn: ledger.Conn, attempt_id: UUID) -> RecordingState | None:
        await pool.execute("update recordings set state = 'deleted'")
        return await look(conn, attempt_id)

    monkeypatch.setattr(ledger, "state_for_update", deleted_meanwhile)
    async with Running(pool, of) as recorder:
        put_legs(of.spool_dir, call, wav(speech(3.0)), wav(speech(3.0, seed=4)))
        recorder.signal(call)
        await recorder.settled(20)
        [file] = of.store_dir.rglob("*.opus")
        file.unlink()  # the verified copy is damaged: it is made again from legs that came back
        legs = put_legs(of.spool_dir, call, wav(speech(3.0)), wav(speech(3.0, seed=4)))
        await recorder.settled(20)
        assert not any(leg.exists() for leg in legs)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, [path for path in of.store_dir.rglob("*") if path.is_file()]) == ("deleted", [])


async def test_a_stored_file_in_doubt_raises_an_alarm_until_it_was_put_back(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, alarm_every_s=0.1, doubted_every_s=0.1)
    await a_project(pool)
    call = await a_stored_recording(pool, of.store_dir, verified=False)
    row = await row_of(pool, call)
    assert row is not None
    assert row.path is not None
    file = of.store_dir / row.path
    kept = file.read_bytes()
    file.write_bytes(b"x" * len(kept))

    def later() -> datetime:
        return NOW + timedelta(hours=1)

    async with Running(pool, of, clock=later) as recorder:

        async def alarmed() -> bool:
            return recorder.alarm.damaged == 1

        async def verified() -> bool:
            found = await row_of(pool, call)
            return found is not None and found.verified_at is not None and recorder.alarm.damaged == 0

        await until(alarmed, "the alarm")
        assert recorder.counts().missing == 0
        assert not await verified()
        file.write_bytes(kept)
        await until(verified, "the file that was put back to be read")


async def test_legs_that_come_after_all_replace_the_statement_that_there_are_none(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, legs_deadline_s=1)
    await a_project(pool)
    call = await an_attempt(pool)
    async with Running(pool, of) as recorder:
        recorder.signal(call)
        await recorder.settled(20)
        row = await row_of(pool, call)
        assert row is not None
        assert row.state is RecordingState.MISSING
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.STORED, None)

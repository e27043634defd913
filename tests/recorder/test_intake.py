"""From the spool to the store, on a real PostgreSQL with real files."""

from __future__ import annotations

import errno
import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder import ledger
from recorder.errors import SpoolInUse, StoreRefused
from recorder.ledger import RecordingState
from recorder.paths import leg_paths
from recorder.service import Recorder
from tests.recorder.builders import (
    ANSWERED,
    NOW,
    Running,
    a_project,
    an_attempt,
    decoded,
    end_attempt,
    level_db,
    now,
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


async def test_a_signalled_call_becomes_one_verified_stereo_file(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, reconcile_every_s=3600)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=3.0)
    customer, agent = speech(3.0, pitch_hz=120), speech(3.0, pitch_hz=210, seed=4)
    async with Running(pool, of) as recorder:
        legs = put_legs(of.spool_dir, call, wav(customer), wav(agent))
        assert recorder.signal(call)
        await recorder.settled(20)
        assert recorder.counts().stored == 1
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.faults, row.duration_ms, row.verified_at) == (RecordingState.STORED, [], 3000, NOW)
    assert row.path == f"2026/03/10/{row.project_id}/{call.hex}.opus"  # the day in the project's zone
    stored = (of.store_dir / row.path).read_bytes()
    assert (len(stored), hashlib.sha256(stored).digest()) == (row.bytes, row.sha256)
    assert not any(leg.exists() for leg in legs)
    assert decoded(stored).shape == (2, 3 * 48000)


async def test_a_spool_that_cannot_be_opened_is_refused_by_name(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_spool: Path) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("recorder.spool.lock_spool", broken)
    with pytest.raises(StoreRefused) as refused:
        await Recorder(pool, settings(tmp_path), clock=now).start()
    assert refused.value.error_id == "directory_refused"


async def test_left_is_the_customer_and_right_is_the_agent(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0) * 0))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.path is not None
    sound = decoded(of.store_dir / row.path)
    assert level_db(sound[0]) > level_db(sound[1]) + 20
    assert row.faults == [{"fault": "leg_silent", "side": "agent"}]


async def test_a_lost_signal_is_made_up_for_by_the_reconciler(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 6)]
    for call in calls:
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of):

        async def all_stored() -> bool:
            return bool(await pool.fetchval("select count(*) = 5 from recordings where verified_at is not null"))

        await until(all_stored, "five recordings that nobody signalled")


async def test_legs_of_a_live_call_are_never_touched(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    live = await an_attempt(pool, 1, talk_s=None)
    ended = await an_attempt(pool, 2)
    for call in (live, ended):
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        recorder.signal(live)
        await recorder.settled(20)
        assert all(leg.exists() for leg in leg_paths(of.spool_dir, live))
        assert await row_of(pool, live) is None
        await end_attempt(pool, live, ended_at=NOW)
        await recorder.settled(20)
    row = await row_of(pool, live)
    assert row is not None
    assert row.state is RecordingState.STORED


async def test_a_leg_that_is_still_written_is_waited_for(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, settle_s=5.0)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=4.0)
    whole = wav(speech(4.0))
    customer, _ = put_legs(of.spool_dir, call, wav(speech(2.0), declared_bytes=0), whole)
    async with Running(pool, of) as recorder:
        recorder.signal(call)

        async def looked_at() -> bool:
            return recorder._endings["later"] > 0  # type: ignore[index]

        await until(looked_at, "a look at the growing leg")
        assert await row_of(pool, call) is None
        customer.write_bytes(whole)
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.duration_ms, row.faults) == (4000, [])


async def test_a_header_left_by_a_killed_asterisk_is_repaired_and_said(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=6.0)
    torn = wav(speech(4.0), declared_bytes=0)
    put_legs(of.spool_dir, call, torn + b"\x01", torn)  # an odd byte at the end: torn within a sample
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.duration_ms == 4000
    assert row.faults == [
        {"fault": "header_repaired", "side": "customer"},
        {"fault": "header_repaired", "side": "agent"},
        {"fault": "short", "ms": 2000},
    ]


async def test_legs_out_of_step_are_padded_to_the_longer(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=3.0)
    put_legs(of.spool_dir, call, wav(speech(3.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.duration_ms, row.faults) == (3000, [{"fault": "out_of_step", "ms": 1000}])


async def test_one_leg_alone_is_kept_with_silence_on_the_other_side(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    missing, empty = await an_attempt(pool, 1), await an_attempt(pool, 2)
    put_legs(of.spool_dir, missing, wav(speech(2.0)), None)
    put_legs(of.spool_dir, empty, b"", wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    rows = [await row_of(pool, call) for call in (missing, empty)]
    assert [row and row.faults for row in rows] == [
        [{"fault": "leg_missing", "side": "agent"}],
        [{"fault": "leg_empty", "side": "customer"}],
    ]
    assert [path.name for path in of.spool_dir.glob("*.wav")] == []


async def test_an_answered_call_without_a_sound_has_a_stated_reason(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    call = await an_attempt(pool, talk_s=0.05)
    legs = put_legs(of.spool_dir, call, b"", wav(speech(0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.MISSING, "legs_empty")
    assert not any(leg.exists() for leg in legs)


async def test_an_answered_call_whose_legs_never_came_is_stated_missing_after_the_deadline(
    pool: Pool, tmp_path: Path
) -> None:
    of = settings(tmp_path, legs_deadline_s=60)
    await a_project(pool)
    call = await an_attempt(pool)
    time = [NOW]
    async with Running(pool, of, clock=lambda: time[0]) as recorder:
        recorder.signal(call)

        async def waits() -> bool:
            row = await row_of(pool, call)
            return row is not None and (row.state, row.reason) == (RecordingState.PENDING, "waiting_for_legs")

        await until(waits, "a pending row")
        time[0] = NOW + timedelta(seconds=120)
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.MISSING, "legs_never_came")
    async with pool.acquire() as conn:
        alarm = await ledger.alarm_count(conn, since=ANSWERED - timedelta(days=1))
    assert (alarm.missing, alarm.poisoned, alarm.overdue) == (1, 0, 0)


async def test_the_recorder_itself_knows_of_calls_without_their_recording(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, alarm_every_s=0.05)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, b"garbage", b"garbage")
    async with Running(pool, of) as recorder:
        assert (recorder.alarm.missing, recorder.alarm.poisoned, recorder.alarm.overdue) == (0, 0, 0)
        await recorder.settled(20)

        async def alarmed() -> bool:
            return recorder.alarm.poisoned == 1

        await until(alarmed, "the alarm to count the poisoned call")


async def test_an_answered_call_that_nobody_signalled_and_without_legs_is_found_among_the_attempts(
    pool: Pool, tmp_path: Path
) -> None:
    of = settings(tmp_path, legs_deadline_s=60, node="node-1")
    later = NOW + timedelta(minutes=10)
    await a_project(pool)
    answered, live = await an_attempt(pool, 1), await an_attempt(pool, 3, talk_s=None)
    unanswered, elsewhere = await an_attempt(pool, 2, answered_at=None), await an_attempt(pool, 4, node="node-2")

    async def missing(call: UUID) -> bool:
        row = await row_of(pool, call)
        return row is not None and row.state is RecordingState.MISSING

    async with Running(pool, of, clock=lambda: later):
        await until(lambda: missing(answered), "the answered call")
        await end_attempt(pool, live, ended_at=NOW)
        await until(lambda: missing(live), "the call that was live when the walk passed")
    assert await row_of(pool, unanswered) is None
    assert await row_of(pool, elsewhere) is None  # its own node knows better


async def test_the_walk_over_attempts_goes_on_where_it_stood(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, reconcile_batch=2, legs_deadline_s=1)
    later = NOW + timedelta(days=30)  # far beyond what a first start looks back
    await a_project(pool)
    old = await an_attempt(pool, 1)
    calls = [
        await an_attempt(pool, number, at=later - timedelta(hours=1), answered_at=later - timedelta(hours=1))
        for number in range(2, 9)
    ]

    async def closed(count: int) -> bool:
        return bool(await pool.fetchval("select count(*) = $1 from recordings where state = 'missing'", count))

    async with Running(pool, of, clock=lambda: later):
        await until(lambda: closed(7), "all seven, two at a time")
    assert await row_of(pool, old) is None
    position = UUID((of.spool_dir / ".swept").read_text())
    assert position == max(calls)
    much_later = later + timedelta(days=30)
    await an_attempt(pool, 20, at=later + timedelta(hours=1), answered_at=later + timedelta(hours=1))
    async with Running(pool, of, clock=lambda: much_later):
        await until(lambda: closed(8), "a call of the time the recorder was away")


async def test_a_project_that_does_not_record_is_a_reason_and_no_alarm(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool, record_calls=False)
    call = await an_attempt(pool)
    async with Running(pool, of) as recorder:
        recorder.signal(call)
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert (row.state, row.reason) == (RecordingState.MISSING, "recording_off")
    async with pool.acquire() as conn:
        assert (await ledger.alarm_count(conn, since=ANSWERED - timedelta(days=1))).missing == 0


async def test_a_full_queue_refuses_the_signal_and_nothing_is_lost(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, queue_bound=1)
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 7)]
    for call in calls:
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        taken = [recorder.signal(call) for call in calls]
        assert False in taken
        await recorder.settled(30)
    assert await pool.fetchval("select count(*) from recordings where verified_at is not null") == len(calls)


async def test_two_recorders_never_share_a_spool(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    async with Running(pool, of):
        with pytest.raises(SpoolInUse, match="spool of its own"):
            await Recorder(pool, of, clock=now).start()
    async with Running(pool, of):
        pass  # and the lock goes with the recorder


async def test_an_unknown_zone_files_the_call_by_utc(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool, zone="Mars/Olympus")
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with Running(pool, of) as recorder:
        await recorder.settled(20)
    row = await row_of(pool, call)
    assert row is not None
    assert row.path is not None
    assert row.path.startswith("2026/03/09/")


async def test_the_ledger_going_away_loses_nothing(database_url: str, pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path)
    await a_project(pool)
    calls = [await an_attempt(pool, number) for number in range(1, 9)]
    for call in calls:
        put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as own, Running(own, of) as recorder:
        for _ in range(20):
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
        await recorder.settled(30)
    assert await pool.fetchval("select count(*) from recordings where verified_at is not null") == len(calls)

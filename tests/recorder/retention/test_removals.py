"""Files leave the store with proof, lawfully, and never under hold; killed at any step the next run ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from recorder import keeping, removals
from recorder.archive.erasing import ArchiveKeys
from recorder.errors import StoreRefused
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.removals import Removals, Step
from recorder.retention.judge import Why
from recorder.retention.policy import Basis
from recorder.sealing import new_seal
from tests.recorder.archive_builders import a_stored_recording, recording_id, state_of
from tests.recorder.builders import PROJECT, a_project, now

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

pytestmark = pytest.mark.services
FAR = date(2040, 1, 1)
SIX_MONTHS = {"minima": [{"from": "call", "months": 6, "source": "contract with the client"}]}


async def follow(pool: Pool, body: dict[str, Any], name: str = "six-months") -> None:
    async with pool.acquire() as conn, conn.transaction():
        await keeping.add_policy(conn, name, body, at=now(), by="test")
        await keeping.use_policy(conn, PROJECT, name, at=now(), by="test")


async def hold(pool: Pool, call: UUID | None = None) -> UUID:
    async with pool.acquire() as conn, conn.transaction():
        return await keeping.place_hold(conn, PROJECT, "lawsuit", attempt_id=call, at=now(), by="test")


async def no_audit(*_: object) -> None:
    pass


def removing(pool: Pool, store: Path, on_step: Callable[[Step], None] = lambda _: None) -> Removals:
    keys = ArchiveKeys(path=store / "archive.keys", keys=FileKeys(KeySource(path=store / "recording.keys")))
    return Removals(pool=pool, store_dir=store, clock=now, by="test", audit=no_audit, erase=keys.erase, on_step=on_step)


async def expire(pool: Pool, store: Path, call: UUID, day: date = FAR) -> int:
    done = await removing(pool, store).expire([await recording_id(pool, call)], day)
    return done.recordings


def files(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


async def test_what_is_over_goes_with_the_verdict_as_its_proof(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)
    assert await expire(pool, tmp_path, call, date(2026, 9, 9)) == 0
    assert await expire(pool, tmp_path, call, date(2026, 9, 10)) == 1  # called on 10 March, in Shanghai
    assert (await state_of(pool, call), files(tmp_path)) == ("deleted", [])
    async with pool.acquire() as conn:
        [row] = await removals.proof(conn, call)
    assert (row["kind"], row["policy"], row["policy_version"], row["file_gone_at"]) == (
        "expired",
        "six-months",
        1,
        now(),
    )
    assert "contract with the client" in str(row["verdict"])


async def test_a_proof_is_never_changed(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)
    await expire(pool, tmp_path, call)
    for statement in ("update recording_removals set by = 'x'", "delete from recording_removals",
                      "update recording_removals set file_gone_at = null", "update retention_policies set body = '{}'"):  # fmt: skip
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await pool.execute(statement)


@pytest.mark.parametrize("of_call", [True, False], ids=["call", "project"])
async def test_nothing_goes_under_hold_until_it_is_lifted(pool: Pool, tmp_path: Path, of_call: bool) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)
    held = await hold(pool, call if of_call else None)
    assert await expire(pool, tmp_path, call) == 0
    assert (await state_of(pool, call), len(files(tmp_path))) == ("stored", 1)
    async with pool.acquire() as conn, conn.transaction():
        assert await keeping.lift_hold(conn, held, "settled", at=now(), by="test")
        assert not await keeping.lift_hold(conn, held, "settled", at=now(), by="test")
    assert await expire(pool, tmp_path, call) == 1


async def test_a_hold_of_one_call_keeps_no_other(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    first, second = [await a_stored_recording(pool, tmp_path, number) for number in (1, 2)]
    await follow(pool, SIX_MONTHS)
    await hold(pool, first)
    assert [await expire(pool, tmp_path, call) for call in (first, second)] == [0, 1]


async def test_a_date_that_nobody_knows_keeps_and_one_of_the_call_goes_before_the_projects(
    pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, {"minima": [{"from": "contract_end", "years": 5}]})
    assert await expire(pool, tmp_path, call) == 0
    async with pool.acquire() as conn, conn.transaction():
        await keeping.set_date(conn, PROJECT, Basis.CONTRACT_END, date(2026, 1, 1))
        await keeping.set_date(conn, PROJECT, Basis.CONTRACT_END, date(2036, 1, 1), attempt_id=call)
    assert await expire(pool, tmp_path, call, date(2040, 12, 31)) == 0
    assert await expire(pool, tmp_path, call, date(2041, 1, 1)) == 1


async def test_the_newest_version_of_a_policy_decides_and_the_dry_run_says_why(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)
    await follow(pool, {"minima": [{"from": "call", "years": 20}]})
    async with pool.acquire() as conn:
        [[kept]] = [page async for page in keeping.kept(conn, states=["stored"])]
    assert kept.policy is not None
    verdict = kept.verdict(date(2027, 1, 1))
    assert (kept.policy.version, verdict.why, verdict.expires) == (2, Why.MINIMUM, date(2046, 3, 10))
    assert "20 years from call" in verdict.sentence
    assert len(files(tmp_path)) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.faults
@pytest.mark.parametrize("step", Step)
async def test_stopped_after_any_step_the_next_run_ends_it(pool: Pool, tmp_path: Path, step: Step) -> None:
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path, number) for number in range(1, 4)]
    await follow(pool, SIX_MONTHS)

    def stop(done: Step) -> None:
        if done is step:
            raise Killed

    ids = [await recording_id(pool, call) for call in calls]
    with pytest.raises(Killed):
        await removing(pool, tmp_path, stop).expire(ids, FAR)
    await removing(pool, tmp_path).finish()
    assert files(tmp_path) == []
    assert {await state_of(pool, call) for call in calls} == {"deleted"}
    assert await pool.fetchval("select count(*) from recording_removals where file_gone_at is not null") == 3


@pytest.mark.faults
async def test_a_hold_that_comes_between_decision_and_file_takes_the_decision_back(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)

    def stop(done: Step) -> None:
        if done is Step.DECIDED:
            raise Killed

    with pytest.raises(Killed):
        await removing(pool, tmp_path, stop).expire([await recording_id(pool, call)], FAR)
    await hold(pool)
    await removing(pool, tmp_path).finish()
    assert (await state_of(pool, call), len(files(tmp_path))) == ("stored", 1)
    async with pool.acquire() as conn:
        [row] = await removals.proof(conn, call)
    assert row["withdrawn_at"] == now()


async def unremovable(pool: Pool, store: Path, call: UUID) -> Path:
    """A folder in the place of the call's file: it stands for what a disk or its rights will not let go of."""
    path = store / str(await pool.fetchval("select path from recordings where attempt_id = $1", call))
    path.unlink()
    path.mkdir()
    return path


@pytest.mark.faults
async def test_a_file_that_cannot_be_removed_stands_in_no_others_way_and_goes_when_it_can(
    pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path, number) for number in range(1, 5)]
    await follow(pool, SIX_MONTHS)
    stays = await unremovable(pool, tmp_path, calls[0])
    await pool.execute("update recordings set path = '../' || path where attempt_id = $1", calls[1])
    outside = (await recording_id(pool, calls[0]), await recording_id(pool, calls[1]))
    ids = [await recording_id(pool, call) for call in calls]
    first = await removing(pool, tmp_path).expire(ids[:2], FAR)
    assert (first.recordings, first.bytes, first.stuck) == (2, 0, frozenset(outside))
    done = await removing(pool, tmp_path).expire(ids[2:], FAR)
    assert (done.recordings, done.stuck) == (2, frozenset(outside))
    gone = "select attempt_id from recording_removals where file_gone_at is not null"
    assert {row["attempt_id"] for row in await pool.fetch(gone)} == set(calls[2:])
    stays.rmdir()
    assert await removing(pool, tmp_path).finish() == {outside[1]}


@pytest.mark.faults
async def test_where_a_hundred_files_cannot_be_removed_nothing_more_is_decided(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removals, "BATCH", 2)
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path, number) for number in range(1, 6)]
    await follow(pool, SIX_MONTHS)
    for call in calls:
        await unremovable(pool, tmp_path, call)
    ids = [await recording_id(pool, call) for call in calls]
    with pytest.raises(StoreRefused, match="2 files cannot be removed"):
        await removing(pool, tmp_path).expire(ids, FAR)
    with pytest.raises(StoreRefused):
        await removing(pool, tmp_path).expire(ids, FAR)
    assert [await state_of(pool, call) for call in calls] == ["deleted"] * 2 + ["stored"] * 3


@pytest.mark.faults
async def test_a_file_that_cannot_be_removed_keeps_its_key_and_comes_back_under_a_hold(
    pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    (tmp_path / "keys").mkdir()
    keys = KeySource(path=tmp_path / "keys" / "recording.keys")
    keys.make("first")
    async with pool.acquire() as conn:
        key = await FileKeys(keys).wrap(conn, PROJECT, new_seal(call), at=now())
    await pool.execute(
        "update recordings set project_key_id = $1, wrapped_key = $2, content_bytes = bytes, content_sha256 = sha256",
        key.project_key_id, key.wrapped,
    )  # fmt: skip
    await follow(pool, SIX_MONTHS)
    await unremovable(pool, tmp_path, call)
    await expire(pool, tmp_path, call)
    assert await pool.fetchval("select wrapped_key from recordings") == key.wrapped
    await hold(pool)
    assert await removing(pool, tmp_path).finish() == frozenset()
    assert await state_of(pool, call) == "stored"


async def test_a_hold_waits_for_a_removal_in_hand_and_then_holds(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path, number) for number in range(1, 60)]
    await follow(pool, SIX_MONTHS)
    ids = [await recording_id(pool, call) for call in calls]
    remover = removing(pool, tmp_path)
    async with asyncio.TaskGroup() as group:
        for one in ids:
            group.create_task(remover.expire([one], FAR))
        group.create_task(hold(pool))
    states = {call: await state_of(pool, call) for call in calls}
    assert len(files(tmp_path)) == sum(state == "stored" for state in states.values())
    before = len(files(tmp_path))
    await remover.expire(ids, FAR)
    assert len(files(tmp_path)) == before


async def test_a_newer_unreadable_policy_deletes_nothing(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await follow(pool, SIX_MONTHS)
    await pool.execute(
        "insert into retention_policies values ('six-months', 2, '{\"minima\": \"none\"}', $1, 'by hand')",
        now() + timedelta(days=1),
    )
    assert await expire(pool, tmp_path, call) == 0


async def test_what_expired_takes_its_key_along_so_that_no_copy_on_a_disc_opens(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call, kept = [await a_stored_recording(pool, tmp_path, number) for number in (1, 2)]
    (tmp_path / "keys").mkdir()
    keys = KeySource(path=tmp_path / "keys" / "recording.keys")
    keys.make("first")
    async with pool.acquire() as conn:
        for one in (call, kept):
            key = await FileKeys(keys).wrap(conn, PROJECT, new_seal(one), at=now())
            await conn.execute(
                "update recordings set project_key_id = $2, wrapped_key = $3, content_bytes = bytes, content_sha256 = sha256 where attempt_id = $1",
                one, key.project_key_id, key.wrapped,
            )  # fmt: skip
    await follow(pool, SIX_MONTHS)
    assert await expire(pool, tmp_path, call) == 1
    rows = await pool.fetch(
        "select state, wrapped_key is null as gone, key_destroyed_at from recordings order by attempt_id"
    )
    assert [tuple(row) for row in rows] == [("deleted", True, now()), ("stored", False, None)]

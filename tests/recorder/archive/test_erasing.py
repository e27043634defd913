"""Discs and key files give everything back when the database is lost; what was deleted by law stays deleted, on discs that nobody can change."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder import file_keys, keeping
from recorder.archive.ledger import volumes_of
from recorder.archive.rebuilding import rebuild
from recorder.errors import ArchiveError, Damaged, KeysRefused
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_sealed_recording, recording_id, sound_of, state_of
from tests.recorder.builders import NOW, PROJECT, a_project, now

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

pytestmark = pytest.mark.services

DROPPED = (
    "truncate projects, attempts, live_attempts, leads, recordings, recording_waveforms, recording_project_keys, archive_volumes, archive_items, "
    "archive_copies, archive_copy_events, recording_removals, legal_holds, business_dates, project_retention cascade"
)


async def recordings(house: House, count: int = 4, *, first: int = 1) -> dict[UUID, bytes]:
    """Sealed recordings in the store, with their sound."""
    assert house.keys is not None
    await a_project(house.pool)
    calls = [
        await a_sealed_recording(house.pool, house.store, house.keys, number) for number in range(first, first + count)
    ]
    return {call: await sound_of(house.pool, house.store, house.keys, call) for call in calls}


async def delete(house: House, call: UUID) -> int:
    """Its retention is over."""
    async with house.pool.acquire() as conn, conn.transaction():
        await keeping.add_policy(conn, "short", {"minima": [{"from": "call", "days": 1}]}, at=now(), by="test")
        await keeping.use_policy(conn, PROJECT, "short", at=now(), by="test")
    done = await house.removals.expire([await recording_id(house.pool, call)], now().date() + timedelta(days=9000))
    return done.recordings


async def lose_the_database(house: House) -> None:
    """And the store."""
    await house.pool.execute(DROPPED)
    shutil.rmtree(house.store)


async def bring_back(house: House, *discs: Path) -> None:
    """The ledger, then the files."""
    await rebuild(
        house.ledger, discs, work=house.root, signers=house.signers, keys=house.keys, archive_keys=house.archive_keys
    )
    for disc in discs:
        await house.restorer(disc).volume((await house.ledger.volumes())[0].label)


async def rows(house: House) -> list[str]:
    """Every row of the catalogue; a wrapped key is another each time it is wrapped."""
    found = []
    for table, but in (
        ("recordings", "'{wrapped_key}'"), ("attempts", "'{}'"), ("leads", "'{}'"), ("recording_project_keys", "'{wrapped,master}'"), ("projects", "'{}'"),
    ):  # fmt: skip
        found += await house.pool.fetch(f"select (to_jsonb(t) - {but}::text[])::text as row from {table} t order by 1")
    return [row["row"] for row in found]


async def test_the_database_dropped_discs_and_key_files_give_every_row_back_and_open_every_recording(
    sealing: House,
) -> None:
    assert sealing.keys is not None
    sounds = await recordings(sealing)
    await sealing.sealed()
    assert await sealing.release(list(sounds)) == 4
    before = await rows(sealing)
    await lose_the_database(sealing)
    disc = sealing.drive("W000001-2").path
    [done] = await rebuild(
        sealing.ledger,
        [disc],
        work=sealing.root,
        signers=sealing.signers,
        keys=sealing.keys,
        archive_keys=sealing.archive_keys,
    )
    assert (done.recordings, done.new, done.erased) == (4, 4, 0)
    assert await rows(sealing) == before
    await sealing.restorer(disc).volume("W000001")
    assert {call: await sound_of(sealing.pool, sealing.store, sealing.keys, call) for call in sounds} == sounds


async def test_a_deleted_recording_stays_deleted_after_a_rebuild_and_the_others_open(sealing: House) -> None:
    assert sealing.keys is not None
    sounds = await recordings(sealing)
    gone = list(sounds)[1]
    await sealing.sealed()
    await sealing.release(list(sounds))
    assert await delete(sealing, gone) == 1
    await lose_the_database(sealing)
    disc = sealing.drive("W000001-1").path
    [done] = await rebuild(
        sealing.ledger,
        [disc],
        work=sealing.root,
        signers=sealing.signers,
        keys=sealing.keys,
        archive_keys=sealing.archive_keys,
    )
    assert (done.new, done.erased) == (4, 1)
    assert await state_of(sealing.pool, gone) == "deleted"
    with pytest.raises(ArchiveError) as refused:
        await sealing.restorer(disc).call(gone)
    assert refused.value.error_id == "recording_deleted"
    row = await sealing.pool.fetchrow(
        "select wrapped_key, key_destroyed_at from recordings where attempt_id = $1", gone
    )
    assert dict(row or {}) == {"wrapped_key": None, "key_destroyed_at": NOW}
    for call in set(sounds) - {gone}:
        await sealing.restorer(disc).call(call)
        assert await sound_of(sealing.pool, sealing.store, sealing.keys, call) == sounds[call]


async def test_a_recording_that_is_not_sealed_stays_deleted_too(archive: House) -> None:
    calls = await archive.recordings(3)
    await archive.sealed()
    await archive.release(calls)
    assert await delete(archive, calls[0]) == 1
    await lose_the_database(archive)
    [done] = await rebuild(
        archive.ledger,
        [archive.drive("W000001-1").path],
        work=archive.root,
        signers=archive.signers,
        archive_keys=archive.archive_keys,
    )
    assert (done.new, done.erased) == (3, 1)
    assert [await state_of(archive.pool, call) for call in calls] == ["deleted", "archived", "archived"]


async def test_an_older_copy_of_the_key_file_opens_what_was_made_since_and_forgets_only_what_was_erased(
    sealing: House,
) -> None:
    assert sealing.keys is not None
    sounds = await recordings(sealing, 2)
    await sealing.sealed()
    older = sealing.root / "in the safe"
    shutil.copy(sealing.archive_keys.path, older)
    sounds |= await recordings(sealing, 2, first=10)
    await sealing.sealed()
    await delete(sealing, next(iter(sounds)))
    await lose_the_database(sealing)
    shutil.copy(older, sealing.archive_keys.path)
    discs = [sealing.drive(name).path for name in ("W000001-1", "W000002-1")]
    done = await rebuild(
        sealing.ledger,
        discs,
        work=sealing.root,
        signers=sealing.signers,
        keys=sealing.keys,
        archive_keys=sealing.archive_keys,
    )
    assert [one.erased for one in done] == [0, 0]
    for disc, label in zip(discs, ("W000001", "W000002"), strict=True):
        await sealing.restorer(disc).volume(label)
    assert {call: await sound_of(sealing.pool, sealing.store, sealing.keys, call) for call in sounds} == sounds


async def test_what_an_older_copy_remembers_is_taken_out_again_by_the_ledger(sealing: House) -> None:
    sounds = await recordings(sealing, 3)
    volume = await sealing.sealed()
    older = sealing.archive_keys.path.read_bytes()
    await delete(sealing, list(sounds)[1])
    newest = await sealing.archive_keys.tree()
    sealing.archive_keys.path.write_bytes(older)
    async with sealing.pool.acquire() as conn:
        assert await sealing.archive_keys.erase_again(conn) == 1
        assert await sealing.archive_keys.erase_again(conn) == 0
    assert await sealing.archive_keys.tree() == newest
    assert [key is None for key in newest.leaves(volume.id, 3)] == [False, True, False]


async def test_after_a_projects_keys_are_destroyed_no_disc_opens_with_all_key_files(sealing: House) -> None:
    assert sealing.keys is not None
    sounds = await recordings(sealing)
    await sealing.sealed()
    await sealing.release(list(sounds))
    async with sealing.pool.acquire() as conn, conn.transaction():
        volumes = await volumes_of(conn, PROJECT)
        assert await file_keys.destroy_of_project(conn, PROJECT, at=NOW) == 4
        await sealing.archive_keys.erase_volumes(volumes)
    disc = sealing.drive("W000001-1").path
    with pytest.raises(KeysRefused) as refused:
        await sound_of(sealing.pool, sealing.store, sealing.keys, next(iter(sounds)))
    assert refused.value.error_id == "recording_key_destroyed"
    await lose_the_database(sealing)
    [done] = await rebuild(
        sealing.ledger,
        [disc],
        work=sealing.root,
        signers=sealing.signers,
        keys=sealing.keys,
        archive_keys=sealing.archive_keys,
    )
    assert done.erased == 4
    assert await sealing.pool.fetchval("select count(*) from recordings where wrapped_key is not null") == 0


async def test_no_key_lies_open_on_a_disc_or_in_the_key_file(sealing: House) -> None:
    assert sealing.keys is not None
    call = next(iter(await recordings(sealing, 1)))
    volume = await sealing.sealed()
    row = await sealing.pool.fetchrow("select project_key_id, wrapped_key from recordings where attempt_id = $1", call)
    assert row is not None
    async with sealing.pool.acquire() as conn:
        [project_key] = (await sealing.keys.of_project(conn, PROJECT)).values()
    file_key = file_keys.unwrapped(project_key, call, row["wrapped_key"]).key
    [leaf] = (await sealing.archive_keys.tree()).leaves(volume.id, 1)
    assert leaf is not None
    for content in (sealing.drive("W000001-1").path.read_bytes(), sealing.archive_keys.path.read_bytes()):
        for key in (file_key, project_key, leaf, row["wrapped_key"]):
            assert key not in content
            assert key.hex().encode() not in content
    assert sealing.archive_keys.path.stat().st_mode & 0o777 == 0o600


async def test_without_the_archives_key_file_nothing_is_deleted_built_or_rebuilt(sealing: House) -> None:
    sounds = await recordings(sealing, 2)
    await sealing.sealed()
    away = sealing.archive_keys.path.rename(sealing.root / "away")
    call = next(iter(sounds))
    with pytest.raises(ArchiveError) as refused:
        await delete(sealing, call)
    assert refused.value.error_id == "archive_key_file_missing"
    assert (
        await sound_of(sealing.pool, sealing.store, sealing.keys or FileKeys(KeySource(path=away)), call)
    ) == sounds[call]
    await recordings(sealing, 1, first=20)
    with pytest.raises(ArchiveError) as refused:
        await sealing.checked()
    assert refused.value.error_id == "archive_key_file_missing"
    away.rename(sealing.archive_keys.path)
    await sealing.removals.finish()  # what was decided is carried out
    assert await sealing.pool.fetchval("select wrapped_key from recordings where attempt_id = $1", call) is None
    await lose_the_database(sealing)
    sealing.archive_keys.path.unlink()
    with pytest.raises(ArchiveError) as refused:
        await bring_back(sealing, sealing.drive("W000001-1").path)
    assert refused.value.error_id == "archive_key_file_missing"


async def test_with_the_archives_key_file_lost_for_good_rows_come_back_and_sealed_recordings_stay_closed(
    sealing: House,
) -> None:
    await recordings(sealing, 2)
    await sealing.sealed()
    before = await sealing.pool.fetch("select id, sha256, attempt_id from recordings order by id")
    await lose_the_database(sealing)
    sealing.archive_keys.path.unlink()
    [done] = await rebuild(
        sealing.ledger, [sealing.drive("W000001-1").path], work=sealing.root, signers=sealing.signers, keys=sealing.keys
    )
    assert done.new == 2
    assert await sealing.pool.fetch("select id, sha256, attempt_id from recordings order by id") == before
    assert await sealing.pool.fetchval("select count(*) from recordings where wrapped_key is not null") == 0


@pytest.mark.parametrize("content", ["", "one two three\n", "master-1 AAAA\n", "other AAAA\n", "master-1 !\n"])
async def test_a_damaged_key_file_is_named(sealing: House, content: str) -> None:
    sealing.archive_keys.path.write_text(content)
    with pytest.raises(ArchiveError) as refused:
        await sealing.archive_keys.tree()
    assert refused.value.error_id == "archive_key_file_unusable"


async def test_another_installations_key_file_opens_nothing_and_says_so(sealing: House) -> None:
    await recordings(sealing, 1)
    await sealing.sealed()
    sealing.archive_keys.path.unlink()
    await lose_the_database(sealing)
    async with sealing.pool.acquire() as conn:
        await sealing.archive_keys.prepare(conn, at=NOW)
    with pytest.raises(Damaged) as refused:
        await bring_back(sealing, sealing.drive("W000001-1").path)
    assert refused.value.error_id == "archive_key_wrong"


async def test_a_new_master_key_wraps_the_file_and_the_old_one_is_not_needed_for_it(sealing: House) -> None:
    assert sealing.keys is not None
    await recordings(sealing, 1)
    await sealing.sealed()
    before = await sealing.archive_keys.tree()
    async with sealing.pool.acquire() as conn, conn.transaction():
        name, _ = await sealing.keys.rotate(conn, at=NOW)
    await sealing.archive_keys.rewrap()
    assert sealing.archive_keys.path.read_text().splitlines()[-1].split()[0] == name
    assert await sealing.archive_keys.tree() == before


async def test_two_that_erase_at_once_both_erase(sealing: House) -> None:
    sounds = await recordings(sealing, 8)
    volume = await sealing.sealed()
    ids = [await recording_id(sealing.pool, call) for call in sounds]

    async def erase(one: UUID) -> None:
        async with sealing.pool.acquire() as conn:
            await sealing.archive_keys.erase(conn, [one])

    async with asyncio.TaskGroup() as group:
        for one in ids[:6]:
            group.create_task(erase(one))
    left = (await sealing.archive_keys.tree()).leaves(volume.id, 8)
    assert sum(key is not None for key in left) == 2


async def test_after_a_loss_a_project_that_went_on_under_a_new_key_gets_its_old_recordings_too(sealing: House) -> None:
    assert sealing.keys is not None
    sounds = await recordings(sealing, 2)
    await sealing.sealed()
    await lose_the_database(sealing)
    newer = await recordings(sealing, 1, first=30)
    disc = sealing.drive("W000001-1").path
    await bring_back(sealing, disc)
    for call, sound in (sounds | newer).items():
        assert await sound_of(sealing.pool, sealing.store, sealing.keys, call) == sound
    assert await sealing.pool.fetchval("select count(*) from recording_project_keys where retired_at is null") == 1

"""What comes back from discs: never what was deleted meanwhile, never over another recording, and nothing that was decided before takes it away again."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from recorder.archive import reading, restoring
from recorder.errors import Damaged, StoreRefused
from recorder.removals import Removals, Step
from recorder.settings import RecorderSettings
from recorder.space import Free
from tests.recorder.archive.house import House, no_audit
from tests.recorder.archive.test_erasing import delete
from tests.recorder.archive_builders import recording_id, state_of
from tests.recorder.builders import now

pytestmark = pytest.mark.services


class Killed(BaseException):
    """Stands for the end of the process."""


async def test_what_is_deleted_while_its_volume_is_read_does_not_come_back(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await archive.recordings(2)
    await archive.sealed()
    await archive.release(calls)
    loop, right, deleted = asyncio.get_running_loop(), reading.copy_out, list[int]()

    def deleted_meanwhile(source: Any, path: str, target: Path, *, sha256: str) -> int:
        read = right(source, path, target, sha256=sha256)
        if calls[1].hex in path:
            deleted.append(asyncio.run_coroutine_threadsafe(delete(archive, calls[1]), loop).result(20))
        return read

    monkeypatch.setattr(restoring, "copy_out", deleted_meanwhile)
    done = await archive.restorer(archive.drive("W000001-1").path).volume("W000001")
    assert (deleted, done.restored, list(done.failed)) == ([1], 1, [calls[1]])
    assert [await state_of(archive.pool, call) for call in calls] == ["stored", "deleted"]
    assert [path.stem for path in archive.store.rglob("*") if path.is_file()] == [calls[0].hex]


@pytest.mark.faults
@pytest.mark.parametrize("file_was_gone", [False, True])
async def test_what_came_back_is_not_taken_by_a_release_that_was_killed_before(
    archive: House, file_was_gone: bool
) -> None:
    [call] = await archive.recordings(1)
    await archive.sealed()

    def stop(step: Step) -> None:
        if step is (Step.FILE_REMOVED if file_was_gone else Step.DECIDED):
            raise Killed

    remover = Removals(
        pool=archive.pool, store_dir=archive.store, clock=now, by="test", audit=no_audit, on_step=stop
    )  # fmt: skip
    with pytest.raises(Killed):
        await remover.release([await recording_id(archive.pool, call)])
    assert await state_of(archive.pool, call) == "archived"
    done = await archive.restorer(archive.drive("W000001-1").path).call(call)
    assert (done.restored, done.there) == ((1, 0) if file_was_gone else (0, 1))
    await archive.removals.finish()
    assert await state_of(archive.pool, call) == "stored"
    assert [path.stem for path in archive.store.rglob("*") if path.is_file()] == [call.hex]


async def test_a_file_of_the_store_that_is_gone_comes_back_and_counts_as_read_back(archive: House) -> None:
    [call] = await archive.recordings(1)
    await archive.sealed()
    [file] = archive.store.rglob("*.opus")
    file.unlink()
    await archive.pool.execute("update recordings set verified_at = null")  # as who found it gone would note
    done = await archive.restorer(archive.drive("W000001-1").path).call(call)
    assert (done.restored, file.exists()) == (1, True)
    assert await archive.pool.fetchval("select verified_at from recordings") == now()
    assert [action for action, *_ in archive.audited].count("recording_restored") == 1


async def test_a_recording_that_was_made_anew_is_not_overwritten_by_the_one_on_the_disc(archive: House) -> None:
    [call] = await archive.recordings(1)
    await archive.sealed()
    [file] = archive.store.rglob("*.opus")
    file.write_bytes(b"made anew")
    await archive.pool.execute("update recordings set sha256 = sha256('made anew'::bytea), bytes = 9")
    with pytest.raises(Damaged, match="another recording"):
        await archive.restorer(archive.drive("W000001-1").path).call(call)
    assert file.read_bytes() == b"made anew"


async def test_a_store_without_room_for_a_volume_is_said_before_the_first_file(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = await archive.recordings(2)
    await archive.sealed()
    await archive.release(calls)
    floor = RecorderSettings(spool_dir=archive.store, store_dir=archive.store).store_floor_bytes
    restorer = archive.restorer(archive.drive("W000001-1").path)
    for free, room in ((floor + 80_000, False), (floor + 90_000, True)):  # two of 40 KB and a little
        monkeypatch.setattr(restoring, "read_free", lambda *_, free=free: Free(spool_bytes=free, store_bytes=free))
        if not room:
            with pytest.raises(StoreRefused) as refused:
                await restorer.volume("W000001")
            assert refused.value.error_id == "store_full"
            assert [path for path in archive.store.rglob("*") if path.is_file()] == []
    assert (await restorer.volume("W000001")).restored == 2


async def test_a_full_store_is_no_fault_of_the_disc(archive: House, monkeypatch: pytest.MonkeyPatch) -> None:
    [call] = await archive.recordings(1)
    await archive.sealed()
    await archive.release([call])

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreRefused) as refused:
        await archive.restorer(archive.drive("W000001-1").path).call(call)
    assert refused.value.error_id == "store_full"

"""Every copy says which it is: one disc never counts as two, and a disc that is another, or not there, says nothing of the one that was asked for."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.archive.drive import Drive
from recorder.archive.media import NAMEPLATE_SECTORS, SECTOR, Medium
from recorder.archive.nameplate import read_nameplate
from recorder.archive.rotation import Report, Targets, rotate, wait_for_disc
from recorder.archive.states import CopyState, VolumeState
from recorder.archive.volume import DiscCopy
from recorder.errors import ArchiveError
from tests.recorder.archive.house import House

pytestmark = pytest.mark.services


async def rotated(archive: House, targets: Targets) -> Report:
    async def ask(_copy: DiscCopy, burner: Drive, blank: bool) -> bool:
        return await wait_for_disc(burner, blank=blank, patience_s=0, look_every_s=1)

    return await rotate(
        archive.builder(), archive.copier(), targets, ask=ask, medium=Medium.CD, today=archive.clock().date(), wait=timedelta(days=-1),
    )  # fmt: skip


async def refused(archive: House, name: str, source: Path, *, name_seen: bool = False) -> str:
    """Verify it there and give the error; the ledger says afterwards what it said before."""
    before = await archive.ledger.copy(name)
    with pytest.raises(ArchiveError) as caught:
        await archive.copier().verify(before, source, name_seen=name_seen)
    assert await archive.ledger.copy(name) == before
    return caught.value.error_id


async def test_one_disc_never_counts_as_two_copies(archive: House) -> None:
    calls = await archive.recordings(2)
    volume = await archive.checked()
    first, second = await archive.ledger.copies(volume.id)
    drive = archive.drive("the-only-one")
    await archive.copier().verify(await archive.copier().burn(first, drive), drive.path)
    with pytest.raises(ArchiveError) as caught:
        await archive.copier().burn(second, drive)
    assert caught.value.error_id == "medium_not_blank"
    await archive.copier().burn(second, archive.drive("a-coaster"))
    assert await refused(archive, second.name, drive.path) == "wrong_disc"
    assert (await archive.ledger.volume(volume.label)).state is VolumeState.CHECKED
    assert await archive.release(calls) == 0


async def test_a_run_that_finds_the_first_disc_in_the_drive_says_so_and_seals_nothing(archive: House) -> None:
    await archive.recordings(2)
    drive = archive.drive("drive")
    targets = Targets(drive=drive.address)
    await rotated(archive, targets)
    kept = drive.path.rename(archive.root / "first")
    await archive.copier().burn(await archive.ledger.copy("W000001-2"), drive)
    shutil.copy(kept, drive.path)  # the tray is closed with the wrong one in it
    report = await rotated(archive, targets)
    assert (report.sealed, ["wrong_disc" in one for one in report.problems]) == ([], [True])
    assert [one.state for one in await archive.ledger.copies()] == [CopyState.VERIFIED, CopyState.WRITTEN]


async def test_a_disc_that_was_burned_by_a_killed_run_is_taken_as_it_is(archive: House) -> None:
    await archive.recordings(1)
    volume = await archive.checked()
    [copy, _] = await archive.ledger.copies(volume.id)
    drive = archive.drive("disc")
    await archive.copier().burn(copy, drive)
    await archive.pool.execute("update archive_copies set state = 'wanted', kind = null, location = null")
    written = await archive.copier().burn(await archive.ledger.copy(copy.name), drive)
    assert written.state is CopyState.WRITTEN
    assert (
        archive.settings.image(volume.label).stat().st_size == volume.image_bytes
    )  # the nameplate is the disc's alone


async def test_a_medium_that_is_another_or_not_there_leaves_the_copy_as_it_was(archive: House) -> None:
    await archive.recordings(2)
    await archive.sealed()
    await archive.recordings(2, first=10)
    await archive.sealed()
    assert await refused(archive, "W000001-1", Path("/not/mounted/W000001-1.iso")) == "medium_missing"
    for other in ("W000001-2", "W000002-1"):
        assert await refused(archive, "W000001-1", archive.drive(other).path) == "wrong_disc"


async def test_a_folder_that_is_not_mounted_spoils_nothing_and_the_next_run_seals(archive: House) -> None:
    await archive.recordings(2)
    volume = await archive.checked()
    places = (archive.root / "a", archive.root / "b")
    for copy, folder in zip(await archive.ledger.copies(volume.id), places, strict=True):
        await archive.copier().put_into(copy, folder)
    away = places[0].rename(archive.root / "away")
    report = await rotated(archive, Targets(places=places))
    assert (report.sealed, ["medium_missing" in one for one in report.problems]) == ([], [True])
    away.rename(places[0])
    report = await rotated(archive, Targets(places=places))
    assert (report.sealed, report.problems) == (["W000001"], [])


async def test_a_disc_without_a_name_needs_somebody_who_has_read_it(archive: House) -> None:
    await archive.recordings(2)
    volume = await archive.sealed()
    disc = archive.drive("W000001-1").path
    with disc.open("r+b") as file:  # as an earlier version wrote it
        file.truncate(volume.image_bytes)
    assert await refused(archive, "W000001-1", disc) == "disc_unnamed"
    copy, faults = await archive.copier().verify(await archive.ledger.copy("W000001-1"), disc, name_seen=True)
    assert (copy.state, faults) == (CopyState.VERIFIED, ())
    other = archive.root / "of-another-volume"
    shutil.copy(disc, other)
    with other.open("r+b") as file:
        file.seek(16 * SECTOR + 40)
        file.write(b"W000009")
    assert await refused(archive, "W000001-1", other, name_seen=True) == "wrong_disc"


async def test_the_name_is_read_though_most_of_its_sectors_are_bad_and_never_a_wrong_one(archive: House) -> None:
    await archive.recordings(1)
    volume = await archive.sealed()
    assert volume.image_bytes is not None
    disc = archive.drive("W000001-2").path
    plate = read_nameplate(disc, volume.image_bytes)
    assert plate is not None
    assert (plate.copy, plate.volume_id, plate.image_sha256) == ("W000001-2", volume.id, volume.image_sha256)
    content = bytearray(disc.read_bytes())
    for number in range(NAMEPLATE_SECTORS):
        assert read_nameplate(disc, volume.image_bytes) == plate
        content[volume.image_bytes + number * SECTOR + 60] ^= 1
        disc.write_bytes(content)
    assert read_nameplate(disc, volume.image_bytes) is None

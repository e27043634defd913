"""A volume from its plan to its discs and back: others can read it, it is the same each time, a call comes back bit for bit."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import bagit
import pycdlib
import pytest

from recorder.archive import building
from recorder.archive.iso import Iso
from recorder.archive.media import Medium
from recorder.archive.rotation import Targets, rotate
from recorder.archive.states import CopyState, VolumeEvent, VolumeState
from recorder.archive.volume import Volume
from recorder.errors import ArchiveError, Damaged
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import state_of
from tests.recorder.builders import now

pytestmark = pytest.mark.services


def files_by_pycdlib(image: Path) -> dict[str, bytes]:
    """Every file of an image as a library reads it that shares no code with ours: by the Rock Ridge names."""
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    found = {}
    for folder, _, names in iso.walk(rr_path="/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, rr_path=path)
            found[path.lstrip("/")] = content.getvalue()
    iso.close()
    return found


def files_by_us(image: Path) -> dict[str, bytes]:
    with Iso(image) as iso:
        return {path: b"".join(iso.chunks(entry)) for path, entry in iso.walk()}


async def image_of(archive: House, volume: Volume) -> Path:
    return archive.settings.image(volume.label)


async def test_a_second_implementation_reads_the_image_and_agrees(archive: House) -> None:
    await archive.recordings()
    image = await image_of(archive, await archive.checked())
    theirs, ours = files_by_pycdlib(image), files_by_us(image)
    assert theirs == ours
    assert sum(path.startswith("data/recordings/") for path in theirs) == 5
    for path in archive.store.rglob("*.opus"):
        assert theirs[f"data/recordings/{path.relative_to(archive.store)}"] == path.read_bytes()


async def test_a_volume_is_a_valid_bag_to_the_reference_implementation(archive: House, tmp_path: Path) -> None:
    await archive.recordings()
    volume = await archive.checked()
    for path, content in files_by_us(await image_of(archive, volume)).items():
        target = tmp_path / "out" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    bag = bagit.Bag(str(tmp_path / "out"))
    bag.validate()
    assert bag.info["External-Identifier"] == volume.label
    (next((tmp_path / "out").rglob("*.opus"))).write_bytes(b"other")
    with pytest.raises(bagit.BagValidationError):
        bag.validate()


async def test_the_catalogue_on_the_volume_finds_its_recordings_and_hides_numbers(archive: House) -> None:
    calls = await archive.recordings()
    files = files_by_us(await image_of(archive, await archive.checked()))
    rows = list(csv.DictReader(io.StringIO(files["data/catalogue/catalogue.csv"].decode("utf-8-sig"))))
    assert {row["call"] for row in rows} == {str(call) for call in calls}
    database = archive.root / "catalogue.sqlite"
    database.write_bytes(files["data/catalogue/catalogue.sqlite"])
    with sqlite3.connect(database) as connection:
        found = connection.execute("select file, sha256, number from recordings").fetchall()
    connection.close()
    for file, sha256, number in found:
        assert hashlib.sha256(files[f"data/{file}"]).hexdigest() == sha256
        assert "****" in number
    page = files["data/index.html"].decode()
    assert all(row["file"] in page for row in rows)
    for text in (page, files["data/catalogue/catalogue.csv"].decode()):
        assert "+8613000000001" not in text
    assert "http" not in page.replace("http-equiv", "")  # it needs no network


async def test_a_hostile_project_name_is_text_on_the_page_and_in_the_table(archive: House) -> None:
    await archive.recordings(1)
    await archive.pool.execute("update projects set name = '=1+1</script><script>alert(1)</script>'")
    await archive.pool.execute("update attempts set disposition = '=cmd|x'")
    files = files_by_us(await image_of(archive, await archive.checked()))
    assert b"<script>alert" not in files["data/index.html"]
    assert b",=cmd" not in files["data/catalogue/catalogue.csv"]
    assert b"'=cmd" in files["data/catalogue/catalogue.csv"]


async def test_the_same_rows_files_and_key_make_the_same_image(archive: House) -> None:
    await archive.recordings()
    volume = await archive.checked()
    shutil.rmtree(archive.settings.work(volume.label))
    await archive.pool.execute("update archive_volumes set state = 'planned', rows_sha256 = null")
    shutil.move(archive.store, archive.root / "elsewhere")
    shutil.copytree(archive.root / "elsewhere", archive.store)
    again = await archive.builder().build(await archive.ledger.volume(volume.label))
    assert (again.image_sha256, again.rows_sha256) == (volume.image_sha256, volume.rows_sha256)
    assert hashlib.sha256((await image_of(archive, again)).read_bytes()).digest() == volume.image_sha256


async def test_the_signing_key_is_made_once_and_is_nobody_elses(archive: House) -> None:
    await archive.recordings(1)
    await archive.checked()
    key = archive.settings.key_file
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    kept = key.read_bytes()
    await archive.recordings(1, first=50)
    await archive.checked()
    assert key.read_bytes() == kept
    key.write_text("nonsense")
    await archive.recordings(1, first=60)
    with pytest.raises(ArchiveError, match="cannot be used"):
        await archive.checked()


async def test_two_discs_are_burned_read_again_and_seal_the_volume(archive: House) -> None:
    await archive.recordings()
    volume = await archive.sealed()
    assert volume.state is VolumeState.SEALED
    assert [action for action, _, _ in archive.audited] == [
        "volume_planned", "copy_written", "copy_verified", "copy_written", "copy_verified", "volume_sealed",
    ]  # fmt: skip
    assert not archive.settings.work(volume.label).exists()
    [first, _] = await archive.ledger.copies(volume.id)
    assert [row["event"] for row in await archive.ledger.history(first)] == ["written", "verified"]


async def test_a_call_comes_back_bit_for_bit_after_the_stores_copy_was_released(archive: House) -> None:
    calls = await archive.recordings()
    before = {path: path.read_bytes() for path in archive.store.rglob("*.opus")}
    await archive.sealed()
    assert await archive.release(calls) == 5
    assert [path for path in archive.store.rglob("*") if path.is_file()] == []
    with pytest.raises(ArchiveError, match="W000001-1") as caught:
        await archive.restorer().call(calls[0])
    assert caught.value.error_id == "disc_wanted"
    disc = archive.drive("W000001-2").path
    await archive.restorer(disc).call(calls[0])
    assert await state_of(archive.pool, calls[0]) == "stored"
    done = await archive.restorer(disc).volume("W000001")
    assert (done.restored, done.there, done.failed) == (4, 1, {})
    assert {path: path.read_bytes() for path in archive.store.rglob("*.opus")} == before


async def test_nothing_is_released_before_two_discs_are_read_again_nor_while_one_is_lent(archive: House) -> None:
    calls = await archive.recordings(2)
    volume = await archive.checked()
    first, second = await archive.ledger.copies(volume.id)
    assert await archive.release(calls) == 0
    for copy in (first, second):
        await archive.copier().burn(copy, archive.drive(copy.name))
    assert await archive.release(calls) == 0  # burned is not yet read
    for copy in (first, second):
        await archive.copier().verify(await archive.ledger.copy(copy.name), archive.drive(copy.name).path)
    lent = await archive.ledger.lend(await archive.ledger.copy(first.name), "the client")
    assert await archive.release(calls) == 0
    back = await archive.ledger.take_back(lent)
    assert back.state is CopyState.WRITTEN  # who knows where it has been
    assert await archive.release(calls) == 0
    await archive.copier().verify(back, archive.drive(first.name).path)
    assert await archive.release(calls) == 2


async def test_a_released_call_that_was_deleted_does_not_come_back(archive: House) -> None:
    calls = await archive.recordings(2)
    await archive.sealed()
    await archive.release(calls)
    await archive.pool.execute("update recordings set state = 'deleted' where attempt_id = $1", calls[0])
    with pytest.raises(ArchiveError) as caught:
        await archive.restorer(archive.drive("W000001-1").path).call(calls[0])
    assert caught.value.error_id == "recording_deleted"


async def test_a_disc_that_is_not_blank_is_refused_and_left_as_it_is(archive: House) -> None:
    await archive.recordings(1)
    volume = await archive.checked()
    other = archive.drive("other")
    other.path.write_bytes(b"somebody's holiday pictures" * 100_000)
    before = other.path.read_bytes()
    [copy, _] = await archive.ledger.copies(volume.id)
    with pytest.raises(ArchiveError) as caught:
        await archive.copier().burn(copy, other)
    assert caught.value.error_id == "medium_not_blank"
    assert other.path.read_bytes() == before
    with pytest.raises(ArchiveError) as caught:
        await archive.copier().burn(copy, archive.drive("no/such/drive"))
    assert caught.value.error_id == "medium_missing"


async def test_a_damaged_store_file_is_named_and_the_others_come_on_the_next_volume(archive: House) -> None:
    calls = await archive.recordings(3)
    path = await archive.pool.fetchval("select path from recordings where attempt_id = $1", calls[1])
    file = archive.store / path
    content = bytearray(file.read_bytes())
    content[1000] ^= 4
    file.write_bytes(content)
    with pytest.raises(Damaged, match=str(calls[1])) as caught:
        await archive.checked()
    assert caught.value.error_id == "source_damaged"
    volume = await archive.checked()
    assert {item.attempt_id for item in await archive.ledger.items(volume.id)} == {calls[0], calls[2]}


async def test_a_folder_takes_copies_too_and_gives_them_back_without_a_drive(archive: House) -> None:
    calls = await archive.recordings(2)
    volume = await archive.checked()
    for copy in await archive.ledger.copies(volume.id):
        written = await archive.copier().put_into(copy, archive.root / "nas" / str(copy.number))
        assert written.location is not None
        await archive.copier().verify(written, Path(written.location))
    assert await archive.release(calls) == 2
    assert (await archive.restorer().call(calls[1])).restored == 1


async def catalogue(archive: House) -> list[str]:
    tables = ("recordings", "attempts", "recording_waveforms")
    return [
        row["row"]
        for table in tables
        for row in await archive.pool.fetch(f"select to_jsonb(t)::text as row from {table} t order by 1")
    ]


async def test_the_catalogue_is_rebuilt_from_the_discs_alone_every_row_equal(archive: House) -> None:
    from recorder.archive.rebuilding import rebuild

    calls = await archive.recordings(40)
    await archive.pool.execute('update recordings set customer_db = -23.1, faults = \'[{"fault": "short", "ms": 7}]\'')
    await archive.pool.execute("insert into recording_waveforms select id, 100, '\\x00ff01', '\\x0203' from recordings")
    await archive.sealed()
    assert await archive.release(calls) == 40
    before = await catalogue(archive)
    await archive.pool.execute(
        "truncate projects, attempts, live_attempts, leads, recordings, recording_waveforms, archive_volumes, archive_items, archive_copies, "
        "archive_copy_events, recording_removals cascade"
    )
    assert await catalogue(archive) == []
    [done] = await rebuild(
        archive.ledger, [archive.drive("W000001-2").path], work=archive.root, signers=archive.signers
    )
    assert (done.label, done.recordings, done.new) == ("W000001", 40, 40)
    assert await catalogue(archive) == before
    assert (await archive.restorer().call(calls[7])).restored == 1  # and the ledger knows where it lies
    [again] = await rebuild(
        archive.ledger, [archive.drive("W000001-1").path], work=archive.root, signers=archive.signers
    )
    assert again.new == 0
    assert (
        json.loads(await archive.pool.fetchval("select to_jsonb(p)::text from projects p"))["zone"] == "Asia/Shanghai"
    )


async def test_what_cannot_be_done_says_why(archive: House) -> None:
    await archive.recordings(1)
    volume = await archive.planned()
    for work, error_id in (
        (archive.ledger.volume("W999999"), "volume_unknown"),
        (archive.ledger.copy("W000001-9"), "copy_unknown"),
        (archive.ledger.copy("nonsense"), "copy_unknown"),
        (archive.ledger.want_another(volume), "archive_step_refused"),
        (archive.restorer().call(UUID(int=5)), "recording_not_archived"),
    ):
        with pytest.raises(ArchiveError) as caught:
            await work
        assert caught.value.error_id == error_id


async def test_where_recordings_are_sealed_no_full_number_is_on_the_disc_and_the_key_file_rebuilds_it(
    archive: House,
) -> None:
    from recorder.archive.rebuilding import rebuild
    from recorder.file_keys import FileKeys
    from recorder.keyring import KeySource

    source = KeySource(path=archive.root / "keys", command="")
    source.make("master-1")
    archive.keys = FileKeys(source)
    calls = await archive.recordings(6)
    volume = await archive.sealed()
    await archive.release(calls)
    disc = archive.drive("W000001-1").path
    numbers = [row["number"].encode() for row in await archive.pool.fetch("select number from attempts")]
    content = disc.read_bytes()
    assert not [number for number in numbers if number in content]
    before = await catalogue(archive)
    await archive.pool.execute(
        "truncate projects, attempts, leads, recordings, archive_volumes, archive_items, archive_copies, archive_copy_events, recording_removals cascade"
    )
    with pytest.raises(ArchiveError) as caught:
        await rebuild(archive.ledger, [disc], work=archive.root, signers=archive.signers)
    assert caught.value.error_id == "archive_keys_missing"
    [done] = await rebuild(archive.ledger, [disc], work=archive.root, signers=archive.signers, keys=archive.keys)
    assert (done.label, done.new) == (volume.label, 6)
    assert await catalogue(archive) == before


async def test_of_a_volume_that_was_given_up_nothing_stays_in_the_work_directory(archive: House) -> None:
    await archive.recordings(3)
    volume = await archive.checked()
    work = archive.settings.work(volume.label)
    assert (work.stat().st_mode & 0o777, (work / "rows.jsonl").exists()) == (0o700, True)
    await building.give_up(archive.ledger, archive.settings, volume, "the list was wrong")
    assert not work.exists()
    other = await archive.checked()
    left = archive.settings.work(other.label)
    await archive.ledger.move(other, VolumeEvent.GIVEN_UP, reason="while a run was at it")
    (archive.settings.work("") / "not-a-volume").mkdir()

    async def nobody(*_: object) -> bool:
        return False

    await rotate(
        archive.builder(), archive.copier(), Targets(), ask=nobody, medium=Medium.CD, today=now().date(), wait=timedelta(days=3650),
    )  # fmt: skip
    assert [path.name for path in left.parent.iterdir()] == ["not-a-volume"]

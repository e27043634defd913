"""A run goes on whatever one item does: what is spoilt is set aside and said, the others get their volume; older volumes are not forgotten."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from recorder.archive import media
from recorder.archive.drive import Drive
from recorder.archive.media import Medium
from recorder.archive.rotation import Report, Targets, rotate
from recorder.archive.standing import thin
from recorder.archive.states import CopyEvent, CopyState, VolumeState
from recorder.archive.volume import DiscCopy
from tests.recorder.archive.house import House
from tests.recorder.archive.test_erasing import delete, recordings

pytestmark = pytest.mark.services


async def nobody(_copy: DiscCopy, _drive: Drive, _blank: bool) -> bool:
    return False


def two_places(archive: House) -> tuple[Path, Path]:
    return archive.root / "a", archive.root / "b"


async def rotated(archive: House, *, wait_days: int = -1) -> Report:
    return await rotate(
        archive.builder(), archive.copier(), Targets(places=two_places(archive)), ask=nobody, medium=Medium.CD, today=archive.clock().date(),
        wait=timedelta(days=wait_days),
    )  # fmt: skip


async def on(archive: House, label: str) -> set[UUID]:
    """Calls on a volume."""
    return {item.attempt_id for item in await archive.ledger.items((await archive.ledger.volume(label)).id)}


async def test_a_recording_that_expired_after_it_was_planned_does_not_stop_the_others(archive: House) -> None:
    calls = await archive.recordings(3)
    await archive.planned()
    assert await delete(archive, calls[0]) == 1
    report = await rotated(archive)
    assert (report.sealed, report.problems) == (["W000002"], [])
    assert await on(archive, "W000002") == set(calls[1:])


async def test_a_file_that_is_gone_is_named_and_the_others_are_on_the_next_volume_of_the_same_run(
    archive: House,
) -> None:
    calls = await archive.recordings(3)
    (
        archive.store / await archive.pool.fetchval("select path from recordings where attempt_id = $1", calls[1])
    ).unlink()
    report = await rotated(archive)
    assert report.sealed == ["W000002"]
    [problem] = report.problems
    assert "source_damaged" in problem
    assert str(calls[1]) in problem
    assert (await rotated(archive)).problems == []


async def test_a_key_that_does_not_open_is_named_and_the_others_get_their_volume(sealing: House) -> None:
    calls = list(await recordings(sealing, 3))
    await sealing.pool.execute(
        "update recordings set wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1) where attempt_id = $1", calls[0]
    )  # fmt: skip
    report = await rotated(sealing)
    assert report.sealed == ["W000002"]
    [problem] = report.problems
    assert "recording_key_damaged" in problem
    assert str(calls[0]) in problem
    assert await on(sealing, "W000002") == set(calls[1:])


async def test_a_disk_that_fails_at_one_volume_does_not_stop_the_next(archive: House) -> None:
    await archive.recordings(2)
    await archive.planned()
    work = archive.settings.work("W000001")
    work.parent.mkdir(parents=True)
    work.write_text("no directory")
    await archive.recordings(2, first=10)
    report = await rotated(archive)
    assert report.sealed == ["W000002"]
    assert "W000001: the disk" in report.problems[0]


async def test_a_flipped_bit_in_an_image_that_waits_for_its_discs_is_mended(archive: House) -> None:
    await archive.recordings(30)
    volume = await archive.checked()
    image = archive.settings.image(volume.label)
    whole = bytearray(image.read_bytes())
    whole[900_000] ^= 1
    image.write_bytes(whole)
    report = await rotated(archive)
    assert (report.sealed, report.problems) == ([volume.label], [])


@pytest.mark.parametrize("left", [b"ruin", None], ids=["ruined", "gone"])
async def test_an_image_beyond_repair_is_built_again_while_nothing_is_written(
    archive: House, left: bytes | None
) -> None:
    await archive.recordings(2)
    volume = await archive.checked()
    image = archive.settings.image(volume.label)
    image.unlink()
    if left is not None:
        image.write_bytes(left * 1_000_000)
    report = await rotated(archive)
    assert ["archive_image_wrong" in one for one in report.problems[:1]] == [True]
    assert (await archive.ledger.volume(volume.label)).state is VolumeState.FROZEN
    report = await rotated(archive)
    assert (report.sealed, report.problems) == ([volume.label], [])
    assert (await archive.ledger.volume(volume.label)).image_sha256 == volume.image_sha256


async def test_a_wanted_copy_of_a_volume_behind_a_thousand_newer_ones_is_made(archive: House) -> None:
    await archive.recordings(1)
    await rotated(archive)
    volume = await archive.ledger.volume("W000001")
    await archive.ledger.happened(await archive.ledger.copy("W000001-1"), CopyEvent.LOST, detail={})
    await archive.ledger.want_another(volume)
    await archive.pool.execute(
        """insert into archive_volumes (label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by, rows_sha256,
                                        data_bytes, data_sha256, image_bytes, image_sha256, sealed_at)
           select 'W' || lpad((n + 1)::text, 6, '0'), project_id, expiry_year, medium, state, recordings, bytes, 2, created_at, created_by, rows_sha256,
                  data_bytes, data_sha256, image_bytes, image_sha256, sealed_at from archive_volumes, generate_series(1, 1000) n where label = 'W000001'"""
    )
    report = await rotated(archive)
    assert (report.waiting, report.problems) == ([], [])
    assert (await archive.ledger.copy("W000001-3")).state is CopyState.VERIFIED


async def test_a_replacement_goes_where_the_lost_copy_lay(archive: House) -> None:
    await archive.recordings(1)
    await rotated(archive)
    first, second = two_places(archive)
    await archive.ledger.happened(await archive.ledger.copy("W000001-1"), CopyEvent.LOST, detail={})
    await archive.ledger.want_another(await archive.ledger.volume("W000001"))
    report = await rotated(archive)
    assert (report.waiting, report.problems) == ([], [])
    third = await archive.ledger.copy("W000001-3")
    assert (third.state, third.location) == (CopyState.VERIFIED, str(first / "W000001-3.iso"))
    assert sorted(path.name for path in second.iterdir()) == ["W000001-2.iso"]


async def test_a_damaged_copy_is_said_by_every_run_until_another_is_wanted(archive: House) -> None:
    calls = await archive.recordings(2)
    await rotated(archive)
    await archive.release(calls)
    copy = await archive.ledger.copy("W000001-2")
    os.truncate(copy.location or "", 500_000)
    await archive.copier().verify(copy, Path(copy.location or ""))
    for _ in range(2):
        [problem] = (await rotated(archive)).problems
        assert problem.startswith("W000001: copies_too_few: 1 good copies of 2 (W000001-2 damaged)")
    [one] = await thin(archive.pool)
    assert (one.good, one.only_on_discs) == (1, 2)
    await archive.ledger.want_another(await archive.ledger.volume("W000001"))
    assert (await rotated(archive)).problems == []
    assert await thin(archive.pool) == []


async def test_leads_with_many_columns_still_fit_the_medium_they_were_planned_for(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(media.SECTORS, Medium.CD, 12_000)  # 24 MB
    await archive.recordings(60)
    fields = {f"客户资料第{n}列": "上海市浦东新区世纪大道一百号" * 20 for n in range(300)}
    await archive.pool.execute(
        "insert into leads (project_id, number, fields) select project_id, number, $1::text::jsonb from attempts", json.dumps(fields)
    )  # fmt: skip
    await archive.pool.execute("update attempts a set lead_id = l.id from leads l where l.number = a.number")
    report = await rotated(archive)
    assert report.problems == []
    volumes = await archive.ledger.volumes()
    assert len(volumes) > 1
    for volume in volumes:
        assert (volume.image_bytes or 0) // media.SECTOR + media.NAMEPLATE_SECTORS <= 12_000


async def test_rows_that_grew_after_they_were_planned_are_planned_anew(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(media.SECTORS, Medium.CD, 12_000)
    await archive.recordings(60)
    await archive.planned()
    await archive.pool.execute("update recordings set faults = $1::text::jsonb", json.dumps([{"fault": "x" * 500_000}]))
    report = await rotated(archive)
    assert ["medium_too_small" in one for one in report.problems] == [True]
    assert report.sealed
    assert "W000001" not in report.sealed

"""A ledger that was rebuilt is as good as the one that was lost: error correction, names of the discs, whose lead, which holds."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder import keeping
from recorder.archive.bag import close_with
from recorder.archive.image import write_image
from recorder.archive.iso import Iso
from recorder.archive.rebuilding import CHECK_HOLDS, Rebuilt, rebuild
from recorder.archive.signing import public_hex
from recorder.archive.states import CopyState
from recorder.errors import ArchiveError
from tests.recorder.archive.house import House
from tests.recorder.archive.test_erasing import DROPPED, delete
from tests.recorder.archive_builders import a_stored_recording, state_of
from tests.recorder.builders import NOW, PROJECT, a_project, now

pytestmark = pytest.mark.services


async def rebuilt(archive: House, *sources: Path, signers: set[str] | None = None) -> list[Rebuilt]:
    return await rebuild(
        archive.ledger, sources, work=archive.root, signers=archive.signers if signers is None else signers
    )


async def refused(archive: House, *sources: Path) -> str:
    with pytest.raises(ArchiveError) as caught:
        await rebuilt(archive, *sources)
    return caught.value.error_id


async def test_a_scratched_disc_is_repaired_after_the_ledger_was_rebuilt(archive: House) -> None:
    await archive.recordings(5)
    volume = await archive.sealed()
    first, second = (archive.drive(f"W000001-{number}").path for number in (1, 2))
    await archive.pool.execute(DROPPED)
    await rebuilt(archive, first)
    again = await archive.ledger.volume("W000001")
    for name in ("data_bytes", "data_sha256", "image_bytes", "image_sha256"):
        assert getattr(again, name) == getattr(volume, name), name
    content = bytearray(second.read_bytes())
    whole = bytes(content[: volume.image_bytes])
    content[400_000:420_000] = bytes(20_000)
    second.write_bytes(content)
    assert (await archive.copier().image(again, second)).read_bytes() == whole


async def test_a_volume_whose_error_correction_has_changed_is_no_source(archive: House) -> None:
    await archive.recordings(2)
    volume = await archive.sealed()
    disc = archive.drive("W000001-1").path
    assert volume.data_bytes is not None
    content = bytearray(disc.read_bytes())
    content[volume.data_bytes + 300_000] ^= 1
    disc.write_bytes(content)
    await archive.pool.execute(DROPPED)
    assert await refused(archive, disc) == "volume_damaged"


async def test_copies_have_the_names_that_are_written_on_them_and_none_counts_twice(archive: House) -> None:
    await archive.recordings(1)
    await archive.sealed()
    await archive.recordings(1, first=10)
    await archive.sealed()
    discs = [archive.drive(name).path for name in ("W000002-2", "W000001-2", "W000002-1")]
    await archive.pool.execute(DROPPED)
    found = await rebuilt(archive, *discs, discs[0])
    assert [one.copy for one in found] == ["W000002-2", "W000001-2", "W000002-1", "W000002-2"]
    assert [copy.name for copy in await archive.ledger.copies()] == ["W000001-2", "W000002-1", "W000002-2"]
    copy, faults = await archive.copier().verify(await archive.ledger.copy("W000001-2"), discs[1])
    assert (copy.state, faults) == (CopyState.VERIFIED, ())


async def test_a_disc_without_a_name_is_not_written_beside_others(
    archive: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await archive.recordings(1)
    volume = await archive.sealed()
    disc = archive.drive("W000001-1").path
    with disc.open("r+b") as file:
        file.truncate(volume.image_bytes)
    monkeypatch.setattr(Path, "is_block_device", lambda path: path == disc)  # no burner here
    await archive.pool.execute(DROPPED)
    assert [one.copy for one in await rebuilt(archive, disc, disc)] == ["W000001-1", ""]
    [copy] = await archive.ledger.copies()
    assert (copy.kind, copy.location) == ("disc", str(disc))


async def test_a_label_that_was_given_again_since_is_refused_and_changes_nothing(archive: House) -> None:
    await archive.recordings(1)
    await archive.sealed()
    older = archive.drive("W000001-1").path.rename(archive.root / "older")
    shutil.rmtree(archive.settings.work("W000001"), ignore_errors=True)
    await archive.pool.execute(DROPPED)
    await archive.pool.execute("alter sequence archive_labels restart")
    await archive.recordings(1, first=30)
    await archive.planned()
    assert await refused(archive, older) == "volume_label_taken"
    assert await archive.pool.fetchval("select count(*) from recordings") == 1


async def test_a_recording_never_becomes_another_persons(archive: House) -> None:
    calls = await archive.recordings(3)
    for number in (1, 2, 3):
        await archive.pool.execute(
            "insert into leads (id, project_id, number, name, created_at) overriding system value select $1, project_id, number, 'of the disc', $2 from attempts where id = $3",
            number, NOW, calls[number - 1],
        )  # fmt: skip
        await archive.pool.execute("update attempts set lead_id = $1 where id = $2", number, calls[number - 1])
        await archive.pool.execute(
            "update recordings set lead_id = $1 where attempt_id = $2", number, calls[number - 1]
        )
    numbers = [await archive.pool.fetchval("select number from attempts where id = $1", call) for call in calls]
    await archive.sealed()
    await archive.pool.execute(DROPPED)
    await a_project(archive.pool)
    # An older backup, and lists imported since: the first id is somebody else's, the second person has another id, the third was called on its next number.
    for lead_id, of, name, at in (
        (1, "+8613777777777", "another", NOW + timedelta(days=1)), (9, numbers[1], "the same again", NOW + timedelta(days=1)),
        (3, "+8613888888888", "of the disc", NOW),
    ):  # fmt: skip
        await archive.pool.execute(
            "insert into leads (id, project_id, number, name, created_at) overriding system value values ($1, $2, $3, $4, $5)", lead_id, PROJECT, of, name, at
        )  # fmt: skip
    await rebuilt(archive, archive.drive("W000001-1").path)
    for call, now_at in zip(calls, [numbers[0], numbers[1], "+8613888888888"], strict=True):
        row = await archive.pool.fetchrow(
            "select l.number, l.id, a.lead_id from recordings r join leads l on l.id = r.lead_id join attempts a on a.id = r.attempt_id where a.id = $1", call
        )  # fmt: skip
        assert row is not None
        assert (row["number"], row["lead_id"]) == (now_at, row["id"])
    assert await archive.pool.fetchval("select count(*) from leads") == 4


async def test_a_rebuilt_project_is_held_until_somebody_has_checked_its_holds(archive: House) -> None:
    [call] = await archive.recordings(1)
    await archive.sealed()
    await archive.release([call])
    async with archive.pool.acquire() as conn, conn.transaction():
        await keeping.place_hold(conn, PROJECT, "a court", at=now(), by="test")
    await archive.pool.execute(DROPPED)
    for source in (1, 2):
        [done] = await rebuilt(archive, archive.drive(f"W000001-{source}").path)
        assert done.on_hold is (source == 1)
    assert await delete(archive, call) == 0
    assert await state_of(archive.pool, call) == "archived"
    async with archive.pool.acquire() as conn, conn.transaction():
        [hold] = await keeping.holds(conn)
        assert (hold["reason"], hold["project_id"]) == (CHECK_HOLDS, PROJECT)
        assert await keeping.lift_hold(conn, hold["id"], "none was open", at=now(), by="test")
    assert await delete(archive, call) == 1


async def test_a_volume_that_somebody_else_signed_is_not_believed_unless_that_is_said(archive: House) -> None:
    await a_project(archive.pool)
    await a_stored_recording(archive.pool, archive.store)
    await archive.sealed()
    disc, other = archive.drive("W000001-1").path, Ed25519PrivateKey.generate()
    forged = resigned(archive, disc, other)
    await archive.pool.execute(DROPPED)
    assert await refused(archive, forged) == "signer_unknown"
    assert await archive.pool.fetchval("select count(*) from recordings") == 0
    ours = archive.settings.key_file.rename(archive.root / "kept")
    assert await refused(archive, disc) == "signer_unknown"  # lost with the machine: its public half is said by hand
    ours.rename(archive.settings.key_file)
    [done] = await rebuilt(archive, forged, signers={public_hex(other)})
    assert done.new == 1


def resigned(archive: House, disc: Path, key: Ed25519PrivateKey) -> Path:
    """A volume of the same content with another's signature."""
    from recorder.archive import correction

    with Iso(disc) as iso:
        files = {path: b"".join(iso.chunks(entry)) for path, entry in iso.walk()}
    bag = archive.root / "resigned"
    payload = {path: content for path, content in files.items() if path.startswith("data/")}
    for path, content in payload.items():
        (bag / path).parent.mkdir(parents=True, exist_ok=True)
        (bag / path).write_bytes(content)
    info = dict(line.split(": ", 1) for line in files["bag-info.txt"].decode().splitlines())
    close_with(bag, {path: hashlib.sha256(content).hexdigest() for path, content in payload.items()}, info, key)
    image = archive.root / "resigned.iso"
    paths = [path for path in sorted(bag.rglob("*")) if path.is_file()]
    size, _ = write_image(image, label="W000001", created_at=now(), files=[(path.relative_to(bag).as_posix(), path) for path in paths])  # fmt: skip
    correction.protect(image, size)
    return image

"""Every damaged bit of a volume is found and the damaged call is named; what error correction promises it gives back."""

from __future__ import annotations

import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from recorder.archive import correction
from recorder.archive.building import check
from recorder.archive.iso import Iso
from recorder.archive.media import SECTOR
from recorder.archive.reading import Fault, read_volume
from recorder.archive.states import CopyState
from recorder.archive.volume import Volume
from recorder.errors import Damaged
from tests.recorder.archive.house import House

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def faults_of(archive: House, volume: Volume, image: Path) -> tuple[Fault, ...]:
    return await check(archive.ledger, volume, image, lambda *_: None)


async def test_a_flipped_bit_anywhere_is_found_and_names_the_call_it_is_in(archive: House) -> None:
    await archive.recordings(4)
    volume = await archive.checked()
    image = archive.settings.image(volume.label)
    assert await faults_of(archive, volume, image) == ()
    with Iso(image) as iso:
        files = {path: (entry.start, entry.start + entry.bytes) for path, entry in iso.walk()}
    chance, size = random.Random(11), image.stat().st_size
    places = [chance.randrange(size) for _ in range(30)]
    places += [chance.randrange(16 * SECTOR, 24 * SECTOR) for _ in range(6)]  # descriptors, path tables, directories
    places += [
        chance.randrange(*span) for span in files.values()
    ]  # in each file once: manifests, signature, catalogue, calls
    for place in places:
        bit = chance.randrange(8)
        flip(image, place, bit)
        faults = await faults_of(archive, volume, image)
        flip(image, place, bit)
        assert faults, f"a flip at byte {place} of {size} was not found"
        inside = next((path for path, (start, stop) in files.items() if start <= place < stop), None)
        if inside is not None and inside.startswith("data/"):
            assert inside in {fault.path for fault in faults}, f"byte {place} is in {inside}: {faults}"
    assert await faults_of(archive, volume, image) == ()


def flip(image: Path, place: int, bit: int) -> None:
    """Flip a bit; the same again takes it back."""
    with image.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


@pytest.mark.parametrize("kind", ["scattered", "scratch", "beginning", "end"])
async def test_any_two_per_cent_of_the_sectors_come_back_bit_for_bit(archive: House, kind: str) -> None:
    await archive.recordings(10)
    volume = await archive.sealed()
    disc = archive.drive("W000001-1").path
    assert volume.image_bytes is not None
    whole = disc.read_bytes()[: volume.image_bytes]
    sectors, chance = volume.image_bytes // SECTOR, random.Random(kind)
    count = sectors * 2 // 100
    first = {"scratch": chance.randrange(sectors - count), "beginning": 0, "end": sectors - count}.get(kind, 0)
    lost = chance.sample(range(sectors), count) if kind == "scattered" else range(first, first + count)
    with disc.open("r+b") as file:
        for sector in lost:
            file.seek(sector * SECTOR)
            file.write(chance.randbytes(SECTOR))
    copy, faults = await archive.copier().verify(await archive.ledger.copy("W000001-1"), disc)
    assert faults
    assert copy.state is CopyState.DAMAGED
    image = await archive.copier().image(volume, disc)
    assert image.read_bytes() == whole


async def test_more_than_error_correction_can_bear_is_said(archive: House) -> None:
    await archive.recordings(3)
    volume = await archive.checked()
    image = archive.root / "ruin.iso"
    shutil.copy(archive.settings.image(volume.label), image)
    with image.open("r+b") as file:
        for sector in range(0, image.stat().st_size // SECTOR, 2):
            file.seek(sector * SECTOR)
            file.write(os.urandom(SECTOR))
    with pytest.raises(Damaged) as caught:
        correction.repair(image)
    assert caught.value.error_id == "volume_beyond_repair"


async def test_a_damaged_disc_does_not_give_a_call_that_is_wrong_and_the_other_disc_does(archive: House) -> None:
    calls = await archive.recordings(3)
    await archive.sealed()
    await archive.release(calls)
    path = await archive.pool.fetchval("select path from recordings where attempt_id = $1", calls[1])
    first, second = archive.drive("W000001-1").path, archive.drive("W000001-2").path
    with Iso(first) as iso:
        entry = iso.find(f"data/recordings/{path}")
        assert entry is not None
    flip(first, entry.start + 5, 3)
    with pytest.raises(Damaged) as caught:
        await archive.restorer(first).call(calls[1])
    assert caught.value.error_id == "volume_file_damaged"
    assert not (archive.store / path).exists()
    assert (await archive.restorer(first).call(calls[2])).restored == 1  # the rest of the disc is good
    assert (await archive.restorer(second).call(calls[1])).restored == 1


async def test_a_volume_whose_file_was_exchanged_together_with_its_manifest_is_not_ours(archive: House) -> None:
    from recorder.archive.bag import manifest
    from recorder.archive.signing import check_signature

    await archive.recordings(1)
    volume = await archive.checked()
    with Iso(archive.settings.image(volume.label)) as iso:
        signature, tags = iso.content("signature.json"), iso.content("tagmanifest-sha256.txt")
    check_signature(signature, tags)
    with pytest.raises(Damaged) as caught:
        check_signature(signature, tags + manifest({"more.txt": "0" * 64}).encode())
    assert caught.value.error_id == "signature_wrong"
    for place in range(len(signature)):  # every bit of it counts, also of what is not signed
        for bit in range(8):
            other = bytearray(signature)
            other[place] ^= 1 << bit
            with pytest.raises(Damaged):
                check_signature(bytes(other), tags)


@pytest.mark.parametrize("content", [b"", b"x" * 100_000, b"\0" * 200_000], ids=["empty", "noise", "zeros"])
def test_what_is_no_volume_is_a_fault_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disc").write_bytes(content)
    reading = read_volume(tmp_path / "disc", image_bytes=300_000, sha256=b"0" * 32)
    assert reading.faults


def test_structures_full_of_noise_never_hang_or_crash_the_reader(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(200):
        descriptor = bytearray(chance.randbytes(SECTOR))
        descriptor[0:6] = b"\2CD001"
        descriptor[88:91] = b"%/E"
        descriptor[158:162] = chance.randrange(40).to_bytes(4, "little")
        descriptor[166:170] = chance.choice([SECTOR, 5000, 0]).to_bytes(4, "little")
        (tmp_path / "disc").write_bytes(bytes(16 * SECTOR) + descriptor + chance.randbytes(30 * SECTOR))
        with suppress(Damaged), Iso(tmp_path / "disc") as iso:
            list(iso.walk())

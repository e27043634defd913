"""Invariant: kill -9 the rotation at any step; the next run ends it with the same image, and earlier volumes are untouched."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import signal
import sys
from pathlib import Path

import pytest

from lab.waiting import wait_until
from recorder.archive import building, copying
from recorder.archive.states import CopyState, VolumeState
from tests.recorder.archive import killed_archive
from tests.recorder.archive.house import House

pytestmark = [pytest.mark.services, pytest.mark.faults]
_CHECKOUT = Path(__file__).resolve().parents[3]


async def run(url: str, root: Path, step: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.recorder.archive.killed_archive", url, str(root), step, cwd=_CHECKOUT
    )
    async with asyncio.timeout(90):
        return await process.wait()


async def test_killed_after_any_step_the_next_run_makes_the_same_image_and_seals_it(
    archive: House, database_url: str
) -> None:
    await archive.recordings(3)
    for step in killed_archive.STEPS:  # one process after the other, each killed one step further
        assert await run(database_url, archive.root, step) == -signal.SIGKILL, step
    assert await run(database_url, archive.root, "never") == 0
    [volume] = await archive.ledger.volumes()
    assert volume.state is VolumeState.SEALED
    for copy in await archive.ledger.copies(volume.id):
        assert copy.state is CopyState.VERIFIED
        disc = archive.drive(copy.name).path.read_bytes()[: volume.image_bytes]
        assert hashlib.sha256(disc).digest() == volume.image_sha256
    # The image of a run that nobody killed.
    await archive.pool.execute("update archive_volumes set state = 'planned', sealed_at = null, rows_sha256 = null")
    again = await archive.builder().build(await archive.ledger.volume(volume.label))
    assert again.image_sha256 == volume.image_sha256


async def test_killed_while_the_image_is_written_burned_or_corrected_the_next_run_starts_clean(
    archive: House, database_url: str
) -> None:
    await archive.recordings(3)
    volume = await archive.checked()
    image = archive.settings.image(volume.label)
    good = image.read_bytes()
    # As a death in the middle of each leaves it.
    for state, content in (
        ("frozen", None),
        ("imaged", good[: volume.data_bytes] + b"half a correction"),
        ("imaged", good[: (volume.data_bytes or 0) // 2]),
        ("protected", good[:-100_000]),
        ("protected", None),
    ):
        image.unlink(missing_ok=True)
        if content is not None:
            image.write_bytes(content)
        image.with_name(image.name + ".part").write_bytes(b"half an image")
        await archive.pool.execute("update archive_volumes set state = $1", state)
        again = await archive.builder().build(await archive.ledger.volume(volume.label))
        assert again.image_sha256 == volume.image_sha256, state
        assert image.read_bytes() == good, state
    half = archive.drive("W000001-1").path
    half.write_bytes(good[: len(good) // 2])
    assert (
        await run(database_url, archive.root, "never") != 0
    )  # the spoilt disc is not blank: it says so, and writes nothing
    half.unlink()
    assert await run(database_url, archive.root, "never") == 0
    assert (await archive.ledger.volume(volume.label)).state is VolumeState.SEALED


async def test_the_program_of_a_killed_run_ends_with_it(tmp_path: Path) -> None:
    """Else it would go on writing into the image, or onto the disc, that the next run makes."""
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid.part; mv {tmp_path}/pid.part {tmp_path}/pid; exec sleep 600"]
    script = f"from recorder.archive.programs import run; run({command!r}, timeout_s=600)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=_CHECKOUT)
    await wait_until((tmp_path / "pid").exists, timeout_s=20, what="the program")
    pid = int((tmp_path / "pid").read_text())
    process.kill()
    await process.wait()
    await wait_until(lambda: not _runs(pid), timeout_s=5, what="its end")


def _runs(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False


async def test_a_death_while_a_later_volume_is_made_leaves_the_earlier_ones_whole(
    archive: House, database_url: str
) -> None:
    await archive.recordings(2)
    first = await archive.sealed()
    before = archive.drive("W000001-1").path.read_bytes()
    await archive.recordings(2, first=20)
    await archive.planned()
    for step in (building.Step.IMAGE_WRITTEN, building.Step.PROTECTED, copying.Step.WRITTEN):
        assert await run(database_url, archive.root, step) == -signal.SIGKILL
    assert archive.drive("W000001-1").path.read_bytes() == before
    assert (await archive.ledger.volume(first.label)).state is VolumeState.SEALED
    shutil.rmtree(archive.settings.work("W000002"))  # even the work directory may be lost
    await archive.pool.execute(
        "update archive_volumes set state = 'planned', rows_sha256 = null where label = 'W000002'"
    )
    assert await run(database_url, archive.root, "never") == 0

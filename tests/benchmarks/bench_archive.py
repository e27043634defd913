"""How fast volumes are built, read back and asked for one call, beside what the machine can do on the same bytes in the same run.

- Build: from the planned volume to its image on disk, hashed (rows, catalogue, manifests, signature, image). Bound: cp and openssl sha256 of the same
  recordings. Error correction and reading back are shown besides: they are done while nobody waits.
- Verify: the image read as a whole, whole hash and each file's. Bound: openssl sha256 of the image. Neither from memory.
- One call out of a full BD, with cold structures.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from recorder.archive.building import Step, check
from recorder.archive.image import write_image
from recorder.archive.media import SECTOR, Medium
from recorder.archive.reading import copy_out
from tests.benchmarks.bench_recorder import Line, a_folder
from tests.benchmarks.database import a_database
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project, now

RECORDINGS = 3_500
EACH_BYTES = 310_000
BUILD_GOAL = 0.4
VERIFY_GOAL = 0.45
FULL_RECORDINGS = 80_000
ONE_CALL_S = 2.0

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What it gave, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def from_the_disk(path: Path) -> None:
    """What is in memory of a file is let go of."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def copy_and_hash(files: list[Path], target: Path) -> None:
    """The bound of building."""
    target.mkdir()
    subprocess.run(["cp", "-t", str(target), *map(str, files)], check=True)
    hash_by_openssl([target / path.name for path in files])


def hash_by_openssl(files: list[Path]) -> None:
    """The fastest program for it that every machine has."""
    subprocess.run(["openssl", "dgst", "-sha256", *map(str, files)], check=True, stdout=subprocess.DEVNULL)


async def build_and_verify() -> list[Line]:
    """A volume of more than a gigabyte."""
    with a_folder() as folder:
        async with a_database() as pool:
            house = House(pool=pool, root=folder)
            await a_project(pool)
            chance = random.Random(1)
            for number in range(RECORDINGS):
                await a_stored_recording(pool, house.store, number, sound=chance.randbytes(EACH_BYTES))
            files = sorted(house.store.rglob("*.opus"))
            size_mb = RECORDINGS * EACH_BYTES / 1e6
            os.sync()  # neither waits for what others have left to the disk
            _, bound_s = timed(lambda: copy_and_hash(files, folder / "copy"))
            shutil.rmtree(folder / "copy")
            volume = await house.planned(Medium.BD)
            os.sync()
            steps: dict[Step, float] = {}
            began = time.perf_counter()
            builder = house.builder(lambda step: steps.update({step: time.perf_counter() - began}))
            volume = await builder.build(volume)
            image = house.settings.image(volume.label)
            from_the_disk(image)
            _, openssl_s = timed(lambda: hash_by_openssl([image]))
            from_the_disk(image)
            began = time.perf_counter()
            faults = await check(house.ledger, volume, image, lambda *_: None)
            verify_s = time.perf_counter() - began
            assert not faults
            image_mb = (volume.image_bytes or 0) / 1e6
    bound = f"cp+openssl sha256 {size_mb / bound_s:.0f} MB/s"
    correction_s, check_s = (
        steps[Step.CORRECTION_ADDED] - steps[Step.IMAGED],
        steps[Step.READ_BACK] - steps[Step.PROTECTED],
    )
    return [
        Line(name=f"Volume of {size_mb:.0f} MB, built and hashed", figure=f"{size_mb / steps[Step.IMAGED]:.0f} MB/s", bound=bound, ratio=bound_s / steps[Step.IMAGED], wanted=BUILD_GOAL),
        Line(name="Volume, error correction", figure=f"{size_mb / correction_s:.0f} MB/s", bound=f"{bound} (shown)", ratio=bound_s / correction_s, wanted=None),
        Line(name="Volume, first reading back", figure=f"{image_mb / check_s:.0f} MB/s", bound="(shown)", ratio=1, wanted=None),
        Line(name="Volume verified, whole and file by file", figure=f"{image_mb / verify_s:.0f} MB/s", bound=f"openssl sha256 {image_mb / openssl_s:.0f} MB/s", ratio=openssl_s / verify_s, wanted=VERIFY_GOAL),
    ]  # fmt: skip


def one_call() -> list[Line]:
    """Out of a full BD: recordings without sound (holes of the disk), its structures complete."""
    with a_folder() as folder:
        names = []
        for number in range(FULL_RECORDINGS):
            path = folder / "store" / f"2026/03/{number % 28 + 1:02}" / f"{number:032x}.opus"
            if number < 28:
                path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(EACH_BYTES)
            names.append((f"data/recordings/{path.relative_to(folder / 'store')}", path))
        image = folder / "full.iso"
        write_image(image, label="W000001", created_at=now(), files=names)
        size = image.stat().st_size
        zeros = hashlib.sha256(bytes(EACH_BYTES)).hexdigest()
        took = []
        for name, _ in random.Random(3).sample(names, 5):
            from_the_disk(image)
            _, seconds = timed(lambda name=name: copy_out(image, name, folder / "out.opus", sha256=zeros))  # type: ignore[misc]
            took.append(seconds)
    worst = max(took)
    return [
        Line(name=f"One call of {FULL_RECORDINGS} on {size / SECTOR / 500_000:.0f} GB", figure=f"{worst * 1000:.0f} ms", bound=f"< {ONE_CALL_S:.0f} s", ratio=ONE_CALL_S / worst, wanted=1.0)
    ]  # fmt: skip


def figures() -> Iterator[Line]:
    """Part by part."""
    yield from asyncio.run(build_and_verify())
    yield from one_call()


def main() -> int:
    """Print the figures."""
    missed = 0
    for line in figures():
        print(line, flush=True)
        missed |= line.wanted is not None and line.ratio < line.wanted
    return missed


if __name__ == "__main__":
    sys.exit(main())

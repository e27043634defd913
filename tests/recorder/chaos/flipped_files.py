"""Bits flipped in files: in the store, on a volume that has its ledger, and on a disc that has only itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from recorder.archive.building import check
from recorder.archive.catalogue import RECORDINGS
from recorder.archive.reading import read_volume
from recorder.archive.volume import Volume
from recorder.errors import FileGone
from recorder.sealing import Seal, content_of
from recorder.verifying import damaged_files
from tests.recorder.chaos.figures import Plan
from tests.recorder.chaos.furnished import Bench
from tests.recorder.chaos.regions import Region, regions_of
from tests.recorder.chaos.tally import CLEAN_EVERY, Tally, flip, tell


async def in_the_store(bench: Bench, plan: Plan, count: int) -> Tally:
    """`waihu recordings verify` names the call; who listens to a sealed one hears nothing that is wrong."""
    tally, chance, house = Tally(), plan.chance("store"), bench.house
    rows = await bench.pool.fetch("select attempt_id, path, bytes, project_key_id from recordings order by path")
    seals = await bench.seals()

    async def found() -> set[str]:
        return {str(one.attempt_id) async for one in damaged_files(bench.pool, house.store)}

    for number in range(count):
        row = chance.choice(rows)
        file, place, bit = house.store / row["path"], _place(row, chance), chance.randrange(8)
        sealed = row["project_key_id"] is not None
        region = ("sealed file, head" if place < 32 else "sealed file") if sealed else "plain file"
        flip(file, place, bit)
        named = await found()
        tally.judge(region, f"{row['attempt_id']} byte {place} bit {bit}", named, str(row["attempt_id"]))
        if named - {str(row["attempt_id"])}:
            tally.false.append(f"{named} for {row['attempt_id']}")
        if sealed and (seal := seals[row["attempt_id"]]) and _can_be_heard(file, seal):
            tally.missed.append(f"{row['attempt_id']} byte {place}: a sealed file that was changed was opened")
        flip(file, place, bit)
        if number % CLEAN_EVERY == 0:
            tally.is_clean(await found(), "store")
        tell(plan, "store", number, count)
    tally.is_clean(await found(), "store")
    return tally


def _place(row: Any, chance: random.Random) -> int:
    """Heads and the ends of files and chunks as often as all the rest."""
    size = row["bytes"]
    edges = [
        chance.randrange(min(48, size)),
        size - 1 - chance.randrange(16),
        min(size - 1, 32 + 65_536 + chance.randrange(16)),
    ]
    return chance.choice(edges) if chance.random() < 0.5 else chance.randrange(size)  # fmt: skip


def _can_be_heard(file: Path, seal: Seal) -> bool:
    try:
        with content_of(file, seal) as content:
            content.read()
    except FileGone:
        return False
    return True


async def on_the_image(bench: Bench, volume: Volume, plan: Plan, count: int) -> Tally:
    """`waihu archive verify`, which has the ledger: every region in turn, and any byte at all."""
    image = bench.house.settings.image(volume.label)

    async def found() -> set[str]:
        faults = await check(bench.house.ledger, volume, image, lambda *_: None)
        return {fault.path for fault in faults}

    return await _regions_in_turn("image", image, volume, plan, count, found, lambda _region: True)


async def without_the_ledger(bench: Bench, volume: Volume, plan: Plan, count: int) -> Tally:
    """A disc whose ledger is lost, as `waihu archive rebuild` reads it: the bag has to know by itself, tag files, catalogue and signature too."""
    image = bench.house.settings.image(volume.label)
    assert volume.data_bytes is not None
    size = volume.data_bytes

    async def found() -> set[str]:
        reading = await asyncio.to_thread(read_volume, image, image_bytes=size, sha256=None)
        return {fault.path for fault in reading.faults}

    return await _regions_in_turn(
        "bag and catalogue", image, volume, plan, count, found, lambda region: region.path is not None
    )


async def _regions_in_turn(
    what: str, image: Path, volume: Volume, plan: Plan, count: int, found: Callable[[], Awaitable[set[str]]],
    wanted: Callable[[Region], bool],
) -> Tally:  # fmt: skip
    tally, chance = Tally(), plan.chance(what)
    regions = [one for one in regions_of(image, volume.data_bytes or 0) if wanted(one)]
    by_name: dict[str, list[Region]] = {}
    for region in regions:
        by_name.setdefault(region.name, []).append(region)
    for number in range(count):
        if number % 2:
            [region] = chance.choices(regions, [one.stop - one.start for one in regions])
        else:
            region = chance.choice(by_name[sorted(by_name)[number // 2 % len(by_name)]])
        place, bit = chance.randrange(region.start, region.stop), chance.randrange(8)
        flip(image, place, bit)
        named = await found()
        flip(image, place, bit)
        of_a_file = region.path if region.path and region.path.startswith("data/") else None
        tally.judge(region.name, f"byte {place} bit {bit}", named, of_a_file)
        others = {path for path in named if path.startswith(RECORDINGS)} - {region.path}
        if of_a_file and others:
            tally.false.append(f"{region.name}, byte {place}: {others} are whole")
        if number % CLEAN_EVERY == 0:
            tally.is_clean(await found(), what)
        tell(plan, what, number, count)
    tally.is_clean(await found(), what)
    missing = {one.name for one in regions} - set(tally.flips)
    if missing and count >= 2 * len(by_name):
        tally.missed.append(f"regions that were never hurt: {missing}")
    return tally

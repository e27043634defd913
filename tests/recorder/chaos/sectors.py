"""Two sectors in a hundred of a sealed disc lost, again and again in other places: each time the image comes back bit for bit."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import asyncpg

from lab.postgres import Postgres
from recorder.archive.media import SECTOR
from recorder.archive.states import CopyState
from recorder.archive.volume import Volume
from tests.databases import a_database, a_server
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project
from tests.recorder.chaos.figures import Figure, Plan, none_of

LOSSES = 120
_LOST_PERCENT = 2
_PATTERNS = ("scattered", "scratch", "beginning", "end", "comb", "two scratches")
_LARGE_BYTES = 40_000_000
_LARGE_EVERY = 10


def lost_sectors(pattern: str, sectors: int, plan: Plan, number: int) -> list[int]:
    """Which sectors are lost."""
    chance, count = plan.chance(pattern, number), sectors * _LOST_PERCENT // 100
    start = chance.randrange(sectors - count)
    match pattern:
        case "scratch":
            return list(range(start, start + count))
        case "beginning":
            return list(range(count))
        case "end":
            return list(range(sectors - count, sectors))
        case "comb":  # at even distances, as interleaving likes it least
            return [(start + place * (sectors // count)) % sectors for place in range(count)]
        case "two scratches":
            half, second = count // 2, chance.randrange(sectors - count)
            return sorted({*range(start, start + half), *range(second, second + count - half)})
        case _:
            return chance.sample(range(sectors), count)


class Hurt:
    """A sealed volume, and its first disc as it was."""

    def __init__(self, house: House, volume: Volume, plan: Plan) -> None:
        self._house = house
        self._volume = volume
        self._plan = plan
        self._disc = house.drive(f"{volume.label}-1").path
        self._whole = self._disc.with_suffix(".whole")
        shutil.copyfile(self._disc, self._whole)

    async def lose(self, pattern: str, number: int) -> list[str]:
        """Lose sectors of the disc, read it, repair it; what is not as it should be. The disc is whole again afterwards."""
        size = self._volume.image_bytes or 0
        what = f"{self._volume.label}, {pattern} {number}"
        lost = lost_sectors(pattern, size // SECTOR, self._plan, number)
        await asyncio.to_thread(self._overwrite, lost, number)
        copier = self._house.copier()
        copy, faults = await copier.verify(await self._house.ledger.copy(self._disc.name), self._disc)
        problems = [] if faults and copy.state is CopyState.DAMAGED else [f"{what}: not found"]
        shutil.rmtree(self._house.settings.work(self._volume.label), ignore_errors=True)
        try:
            image = await copier.image(self._volume, self._disc)
            if await asyncio.to_thread(_hash, image) != self._volume.image_sha256:
                problems.append(f"{what}: it came back otherwise")
        except Exception as error:  # noqa: BLE001 - every way of failing is one figure
            problems.append(f"{what}: {error!r}")
        shutil.copyfile(self._whole, self._disc)
        copy, faults = await copier.verify(copy, self._disc)
        return problems + [f"{what}: {fault} on a whole disc" for fault in faults]

    def _overwrite(self, lost: list[int], number: int) -> None:
        noise = self._plan.chance("noise", number)
        with self._disc.open("r+b") as file:
            for sector in lost:
                file.seek(sector * SECTOR)
                was = file.read(SECTOR)
                file.seek(sector * SECTOR)
                empty = number % 2 == 0 and was != bytes(SECTOR)  # what is empty already would be lost without a trace
                file.write(bytes(SECTOR) if empty else noise.randbytes(SECTOR))


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def lose_sectors(plan: Plan, server: Postgres) -> list[Figure]:
    """Mostly of a volume of a megabyte, now and then of one of forty."""
    wanted = plan.count(LOSSES, least=len(_PATTERNS))
    url, root = await a_database(server), plan.folder("sectors")
    problems = list[str]()
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        await a_project(pool)
        house = House(pool=pool, root=root)
        await house.recordings(8)
        small = Hurt(house, await house.sealed(), plan)
        noise = plan.chance("large")
        for number in range(100, 110):
            await a_stored_recording(pool, house.store, number, sound=noise.randbytes(_LARGE_BYTES // 10))
        large = Hurt(house, await house.sealed(), plan)
        for number in range(wanted):
            hurt = large if number % _LARGE_EVERY == 0 else small
            problems += await hurt.lose(_PATTERNS[(number + number // _LARGE_EVERY) % len(_PATTERNS)], number)
            if number and number % max(1, wanted // 5) == 0:
                plan.say(f"{number} of {wanted} losses")
    return [
        Figure(name=f"losses of {_LOST_PERCENT} % of the sectors, {len(_PATTERNS)} patterns", figure=str(wanted), demand=str(wanted), kept=True),
        none_of("  not found, or not given back bit for bit", problems, plan),
    ]  # fmt: skip


async def run(plan: Plan) -> list[Figure]:
    """The part, on a server of its own."""
    async with a_server(plan.run_dir) as server:
        return await lose_sectors(plan, server)

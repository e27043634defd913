"""The rotation killed while it plans, builds, adds error correction, burns, reads and seals: at each step, and at any moment, alone or with its programs.

Volume after volume is brought from its plan to sealed discs by processes of which only the last one is not killed. Then the discs are compared with the
ledger, with an image that nobody disturbed, and the discs of all earlier volumes with what they were.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
import signal
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from lab.postgres import Postgres
from recorder.archive.states import CopyState, VolumeEvent, VolumeState
from recorder.errors import ArchiveError
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.databases import a_database, a_server
from tests.recorder.archive import killed_archive
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_sealed_recording
from tests.recorder.builders import a_project
from tests.recorder.chaos.figures import Figure, Plan, none_of

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

KILLS = 300
_EACH_VOLUME = 30
_RECORDINGS, _EACH_BYTES = 6, 2_000_000
_LONGEST_S = 180.0
_STEPS = [killed_archive.PLANNING, killed_archive.PLANNED, *killed_archive.STEPS]
_PHASES = [f"{killed_archive.DURING} {phase}" for phase in ("image", "correction", "burning", "reading")]
_MOMENT_S = 0.06
"""After a phase has begun."""
_IN_EACH_PHASE = 4
_RANDOM_S = (0.1, 0.4, 1.2)
"""Within which a run is killed at random: a whole one takes about so long."""
_forks = multiprocessing.get_context("forkserver")


def live(url: str, root: str, step: str, moment_s: float, told: Connection) -> None:
    """One run, in a forked process that leads a group of its own."""
    os.setsid()
    with (Path(root) / "archive.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        asyncio.run(killed_archive.main(url, Path(root), step, told.send, moment_s=moment_s))
    except ArchiveError as error:
        told.send(error.error_id)
        raise SystemExit(1) from None


class Rotation:
    """Volumes of one house, one after the other."""

    def __init__(self, house: House, keys: FileKeys, url: str, plan: Plan) -> None:
        self.deaths: Counter[str] = Counter()
        self.spoilt = 0
        self.problems: list[str] = []
        self.sealed: dict[str, bytes] = {}  # disc → its hash when it was sealed
        self._house = house
        self._keys = keys
        self._url = url
        self._plan = plan
        self._chance = plan.chance("rotation")

    async def volume(self, number: int, kills: int) -> None:
        """One volume through so many deaths: at the steps, which brings it on by one each time, or at any moment."""
        calls = {
            await a_sealed_recording(
                self._house.pool,
                self._house.store,
                self._keys,
                100 * number + n,
                sound=self._chance.randbytes(_EACH_BYTES),
            )
            for n in range(_RECORDINGS)
        }
        lives = (self._at_steps, self._in_phases, self._anytime)[number % 3]
        for step in lives()[:kills]:
            await self._life(step)
            if not await self._open():
                break
        await self._finish()
        await self._compare(calls)

    @staticmethod
    def _at_steps() -> list[str | None]:
        return [*_STEPS]

    @staticmethod
    def _in_phases() -> list[str | None]:
        return [phase for phase in _PHASES for _ in range(_IN_EACH_PHASE)]

    @staticmethod
    def _anytime() -> list[str | None]:
        return [None] * _EACH_VOLUME

    async def _open(self) -> bool:
        """Is there anything left to do?"""
        ledger = self._house.ledger
        states = {one.state for one in await ledger.volumes()}
        return bool(await ledger.candidates()) or states != {VolumeState.SEALED}

    async def _life(self, step: str | None) -> None:
        """One run; without a step it is killed at any moment."""
        process, told = self._started(step or "never")
        if step:
            await asyncio.to_thread(process.join, _LONGEST_S)
        else:
            await asyncio.to_thread(self._kill_sometime, process, told)
        if process.exitcode == -signal.SIGKILL:
            self.deaths[step or "random"] += 1
        elif process.exitcode is None:
            self.problems.append(f"a run did not come to {step}")
            process.kill()
        await self._after(process, told)

    async def _after(self, process: ForkServerProcess, told: Connection) -> None:
        """What an operator does: a disc that was being burned is spoilt, and another one is put in."""
        words = _heard(told)
        if process.exitcode == 1 and "medium_not_blank" in words:
            for copy in await self._house.ledger.copies():
                disc = self._house.drive(copy.name).path
                if copy.state is CopyState.WANTED and disc.exists():
                    disc.unlink()
                    self.spoilt += 1
        elif process.exitcode not in {0, -signal.SIGKILL}:
            self.problems.append(f"a run ended with {process.exitcode}: {words}")

    async def _finish(self) -> None:
        for _ in range(5):  # each disc may be spoilt
            process, told = self._started("never")
            await asyncio.to_thread(process.join, _LONGEST_S)
            await self._after(process, told)
            if process.exitcode == 0:
                return
        self.problems.append("a volume could not be finished")

    def _kill_sometime(self, process: ForkServerProcess, told: Connection) -> None:
        """Blocking. Half of them with everything they have started."""
        with suppress(EOFError):
            told.poll(_LONGEST_S)
        process.join(self._chance.uniform(0.0, self._chance.choice(_RANDOM_S)))
        if process.exitcode is None and process.pid is not None:
            with suppress(ProcessLookupError):
                if self._chance.random() < 0.5:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.kill()
        process.join(_LONGEST_S)

    async def _compare(self, calls: set[UUID]) -> None:
        ledger, pool = self._house.ledger, self._house.pool
        for volume in await ledger.volumes():
            items = {item.attempt_id for item in await ledger.items(volume.id)}
            if not items & calls:
                continue
            if items != calls or volume.state is not VolumeState.SEALED:
                self.problems.append(f"{volume.label} is {volume.state} and has {len(items)} of {len(calls)} calls")
            for copy in await ledger.copies(volume.id):
                disc = self._house.drive(copy.name).path.read_bytes()
                found = hashlib.sha256(disc[: volume.image_bytes]).digest()
                if copy.state is not CopyState.VERIFIED or found != volume.image_sha256:
                    self.problems.append(f"{copy.name} is {copy.state}, and not what the ledger says")
                self.sealed[copy.name] = hashlib.sha256(disc).digest()
            # The image of a run that nobody kills.
            await pool.execute(_AGAIN, volume.id)
            again = await self._house.builder().build(await ledger.volume(volume.label))
            if again.image_sha256 != volume.image_sha256:
                self.problems.append(f"{volume.label}: an undisturbed run makes another image")
            await ledger.move(again, VolumeEvent.COPIES_VERIFIED)
        doubled = await pool.fetch(
            "select recording_id from archive_items where not void group by 1 having count(*) > 1"
        )
        if doubled:
            self.problems.append(f"{len(doubled)} recordings are on two volumes")
        for name, was in self.sealed.items():
            if hashlib.sha256(self._house.drive(name).path.read_bytes()).digest() != was:
                self.problems.append(f"{name}, sealed before, has changed")

    def _started(self, step: str) -> tuple[ForkServerProcess, Connection]:
        ours, theirs = _forks.Pipe(duplex=False)
        process = _forks.Process(
            target=live, args=(self._url, str(self._house.root), step, self._chance.uniform(0.0, _MOMENT_S), theirs)
        )
        process.start()
        theirs.close()
        return process, ours


_AGAIN = "update archive_volumes set state = 'planned', sealed_at = null, rows_sha256 = null where id = $1"


def _heard(told: Connection) -> list[str]:
    words = []
    with suppress(EOFError):
        while told.poll(0):
            words.append(told.recv())
    return words


async def kill_the_rotation(plan: Plan, server: Postgres) -> list[Figure]:
    """Until so many runs have died."""
    wanted = plan.count(KILLS, least=3)
    _forks.set_forkserver_preload([__name__])
    url, root = await a_database(server), plan.folder("house")
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        await a_project(pool)
        source = KeySource(path=root / "recording.keys")
        source.make("master")
        keys = FileKeys(source)
        rotation = Rotation(House(pool=pool, root=root, keys=keys), keys, url, plan)
        volumes = 0
        while rotation.deaths.total() < wanted and not rotation.problems:
            volumes += 1
            await rotation.volume(volumes, wanted - rotation.deaths.total())
            plan.say(f"{rotation.deaths.total()} of {wanted} kills, {volumes} volumes")
    deaths = rotation.deaths
    plan.say("killed at: " + ", ".join(f"{step} {deaths[step]}" for step in [*_STEPS, *_PHASES, "random"]))
    return [
        Figure(
            name="rotation killed at every step, in every phase and at random",
            figure=f"{deaths.total()} times",
            demand=f"{wanted}, every step and phase",
            kept=deaths.total() >= wanted
            and (wanted < KILLS // 10 or all(deaths[step] for step in [*_STEPS, *_PHASES])),
        ),
        Figure(name="  volumes sealed in spite of it, discs spoilt", figure=f"{volumes}, {rotation.spoilt}"),
        none_of(
            "  images that differ, earlier discs that changed, recordings lost or doubled", rotation.problems, plan
        ),
    ]


async def run(plan: Plan) -> list[Figure]:
    """The part, on a server of its own."""
    async with a_server(plan.run_dir) as server:
        return await kill_the_rotation(plan, server)

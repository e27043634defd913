"""Random operations on the real ledger, with real files: what the model beside the tests does with plain values, here by the product's own statements.

Only the bytes of images are left out (a volume goes through its states by the ledger's own moves). Beside it books are kept by hand; after each release or
deletion they say whether each file that has gone was allowed to.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from lab.postgres import Postgres
from recorder import keeping
from recorder.archive.media import Medium
from recorder.archive.planner import plan as plan_volumes
from recorder.archive.states import CopyEvent, CopyState, VolumeEvent
from recorder.archive.volume import DiscCopy, Volume
from recorder.errors import ArchiveError
from recorder.retention.policy import Basis
from tests.databases import a_database
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project, now
from tests.recorder.chaos.figures import Figure, Plan, none_of
from tests.recorder.chaos.ledger_books import Books, Call, Disc, Project

OPERATIONS = 20_000
_PROJECTS = [UUID(int=0x018F0000_0000_4000_8000_000000000000 | number) for number in range(3)]
_MOST = 600
_AUDIT_EVERY = 500
_SOUND = b"a recording"
_BASES = [Basis.CALL, Basis.CONTRACT_END, Basis.DISPUTE_END]


class Operations:
    """The real thing, and the books beside it."""

    def __init__(self, house: House, chance: random.Random) -> None:
        self.house = house
        self.books = Books(today=date(2026, 1, 1), projects={project: Project() for project in _PROJECTS})
        self.done: Counter[str] = Counter()
        self._chance = chance
        self._numbers = 0
        weighted: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (14, self.record), (5, self.hold), (6, self.lift), (3, self.state_a_date), (1, self.change_policy), (5, self.pass_time), (4, self.plan),
            (12, self.write), (18, self.read), (3, self.damage), (3, self.lend), (4, self.take_back), (1, self.lose), (1, self.destroy),
            (1, self.doubt), (10, self.release), (8, self.expire),
        ]  # fmt: skip
        self._choices = [operation for weight, operation in weighted for _ in range(weight)]

    async def step(self) -> None:
        """One operation."""
        operation = self._chance.choice(self._choices)
        happened = await operation()
        self.done[getattr(operation, "__name__", "") + ("" if happened else ": nothing")] += 1

    # ---------------------------------------------------------------- what people and machines do

    async def record(self) -> bool:
        if len(self.books.calls) - len(self.books.gone) >= _MOST:
            return False
        self._numbers += 1
        project = self._chance.choice(_PROJECTS)
        at = datetime(self.books.today.year, self.books.today.month, self.books.today.day, 12, tzinfo=UTC)
        call = await a_stored_recording(
            self.house.pool, self.house.store, self._numbers, sound=_SOUND, project_id=project, at=at
        )
        row = await self.house.pool.fetchrow("select id, path from recordings where attempt_id = $1", call)
        assert row is not None
        self.books.calls[call] = Call(
            project=project, day=self.books.today, recording=row["id"], path=self.house.store / row["path"]
        )
        return True

    async def hold(self) -> bool:
        call = self._a_call()
        if call is None:
            return False
        project = self.books.calls[call].project
        of_all = self._chance.random() < 0.05
        async with self._transaction() as conn:
            hold = await keeping.place_hold(
                conn, project, "case", attempt_id=None if of_all else call, at=now(), by="test"
            )
        (self.books.projects[project] if of_all else self.books.calls[call]).holds.append(hold)
        return True

    async def lift(self) -> bool:
        held = [one.holds for one in self.books.calls.values()] + [one.holds for one in self.books.projects.values()]
        held = [holds for holds in held if holds]
        if not held:
            return False
        holds = self._chance.choice(held)
        async with self._transaction() as conn:
            return await keeping.lift_hold(conn, holds.pop(), "over", at=now(), by="test")

    async def state_a_date(self) -> bool:
        call, basis = self._a_call(), self._chance.choice(_BASES[1:])
        if call is None:
            return False
        day = self.books.today + timedelta(days=self._chance.randint(-200, 200))
        of_all = self._chance.random() < 0.3
        async with self._transaction() as conn:
            await keeping.set_date(
                conn, self.books.calls[call].project, basis, day, attempt_id=None if of_all else call
            )
        (self.books.projects[self.books.calls[call].project] if of_all else self.books.calls[call]).dates[basis] = day
        return True

    async def change_policy(self) -> bool:
        project = self._chance.choice(_PROJECTS)
        minima = [
            (basis, self._chance.randint(1, 90)) for basis in self._chance.sample(_BASES, self._chance.randint(1, 2))
        ]
        copies = self._chance.choice([2, 2, 3])
        body = {"minima": [{"from": basis.value, "days": days} for basis, days in minima], "copies": copies}
        async with self._transaction() as conn:
            await keeping.add_policy(conn, str(project), body, at=now(), by="test")
            await keeping.use_policy(conn, project, str(project), at=now(), by="test")
        self.books.projects[project].minima, self.books.projects[project].copies = minima, copies
        return True

    async def pass_time(self) -> bool:
        self.books.today += timedelta(days=self._chance.randint(0, 5))
        return True

    async def plan(self) -> bool:
        ledger, some_hash = self.house.ledger, bytes(32)
        batches = plan_volumes(
            await ledger.candidates(project_id=self._chance.choice(_PROJECTS)), Medium.CD, today=self.books.today,
            wait=timedelta(days=self._chance.randint(-1, 10)),
        )  # fmt: skip
        for batch in batches:
            volume = await ledger.open_volume(batch)
            volume = await ledger.move(volume, VolumeEvent.FROZEN, rows_sha256=some_hash)
            volume = await ledger.move(volume, VolumeEvent.IMAGED, data_bytes=1, data_sha256=some_hash)
            volume = await ledger.move(volume, VolumeEvent.PROTECTED, image_bytes=1, image_sha256=some_hash)
            volume = await ledger.move(volume, VolumeEvent.CHECKED)
            calls = [item.attempt_id for item in await ledger.items(volume.id)]
            self.books.volumes[volume.label] = volume.copies_wanted
            for call in calls:
                self.books.calls[call].volume = volume.label
            for copy in await ledger.copies(volume.id):
                self.books.discs[copy.name] = Disc()
        return bool(batches)

    async def write(self) -> bool:
        copy = await self._a_copy(written=False)
        return copy is not None and await self._happens(
            copy, CopyEvent.WRITTEN, kind="disc", location="/dev/sr0", written_at=now()
        )

    async def read(self) -> bool:
        copy = await self._a_copy()
        if copy is None or copy.state in {CopyState.LOST, CopyState.DESTROYED} or copy.lent_to:
            return False
        disc = self.books.discs[copy.name]
        if disc.broken:
            return await self._happens(copy, CopyEvent.FOUND_DAMAGED)
        done = await self._happens(copy, CopyEvent.VERIFIED, verified_at=now())
        volume: Volume = await self.house.ledger.volume(copy.label)
        await self.house.copier().seal(volume)
        if self.books.copies_verified(copy.label) >= self.books.volumes[copy.label]:
            self.books.sealed.add(copy.label)
        return done

    async def damage(self) -> bool:
        copy = await self._a_copy()
        if copy is None:
            return False
        self.books.discs[copy.name].broken = True
        return True

    async def lend(self) -> bool:
        copy = await self._a_copy()
        try:
            if copy is None:
                return False
            await self.house.ledger.lend(copy, "the client")
        except ArchiveError:
            return False
        self.books.discs[copy.name].lent = True
        return True

    async def take_back(self) -> bool:
        lent = [name for name, disc in self.books.discs.items() if disc.lent]
        if not lent:
            return False
        name = self._chance.choice(lent)
        await self.house.ledger.take_back(await self.house.ledger.copy(name))
        disc = self.books.discs[name]
        disc.lent = disc.verified = False
        disc.broken = disc.broken or self._chance.random() < 0.2
        return True

    async def lose(self) -> bool:
        copy = await self._a_copy()
        return copy is not None and await self._happens(copy, CopyEvent.LOST)

    async def destroy(self) -> bool:
        copy = await self._a_copy()
        return copy is not None and await self._happens(copy, CopyEvent.DESTROYED)

    async def doubt(self) -> bool:
        call = self._a_call()
        return (
            call is not None
            and await self.house.pool.execute(
                "update recordings set verified_at = null where attempt_id = $1 and state = 'stored'", call
            )
            == "UPDATE 1"
        )

    # ---------------------------------------------------------------- what the product takes away, and whether it was allowed to

    async def release(self) -> bool:
        asked = self._some_calls()
        there = self._there(asked)
        await self.house.removals.release([self.books.calls[call].recording for call in asked])
        went = there - self._there(asked)
        for call in went:
            self.books.judge_release(call)
        return bool(went)

    async def expire(self) -> bool:
        asked = self._some_calls()
        there = self._there(asked)
        await self.house.removals.expire([self.books.calls[call].recording for call in asked], self.books.today)
        went = there - self._there(asked)
        rows = await self.house.pool.fetch(
            "select attempt_id from recordings where attempt_id = any($1) and state = 'deleted'", asked
        )
        for call in {row["attempt_id"] for row in rows} - self.books.gone:
            self.books.judge_expiry(call)
            self.books.gone.add(call)
        self.books.problems += [f"{call}: its file went, and it is not deleted" for call in went - self.books.gone]
        return bool(went)

    async def audit(self) -> None:
        """Rows and files agree, whatever happened."""
        for row in await self.house.pool.fetch("select attempt_id, state, path from recordings"):
            if (row["state"] == "stored") != (self.house.store / row["path"]).exists():
                self.books.problems.append(f"{row['attempt_id']} is {row['state']}, and its file is not so")
            if (row["state"] == "deleted") != (row["attempt_id"] in self.books.gone):
                self.books.problems.append(f"{row['attempt_id']} is {row['state']}, and the books say otherwise")

    # ---------------------------------------------------------------- helpers

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        async with self.house.pool.acquire() as conn, conn.transaction():
            yield conn

    def _a_call(self) -> UUID | None:
        alive = [call for call in self.books.calls if call not in self.books.gone]
        return self._chance.choice(alive) if alive else None

    def _some_calls(self) -> list[UUID]:
        alive = [call for call in self.books.calls if call not in self.books.gone]
        return self._chance.sample(alive, min(len(alive), 20))

    def _there(self, calls: list[UUID]) -> set[UUID]:
        return {call for call in calls if self.books.calls[call].path.exists()}

    async def _a_copy(self, *, written: bool = True) -> DiscCopy | None:
        names = [name for name, disc in self.books.discs.items() if disc.written is written]
        return await self.house.ledger.copy(self._chance.choice(names)) if names else None

    async def _happens(self, copy: DiscCopy, event: CopyEvent, **values: Any) -> bool:
        try:
            after = await self.house.ledger.happened(copy, event, detail={}, **values)
        except ArchiveError:
            return False
        self.books.discs[copy.name].written = True
        self.books.discs[copy.name].verified = after.state is CopyState.VERIFIED
        return True


async def operate_on_the_ledger(plan: Plan, server: Postgres) -> list[Figure]:
    """So many of them."""
    wanted = plan.count(OPERATIONS, least=150)
    async with asyncpg.create_pool(await a_database(server), min_size=1, max_size=2) as pool:
        for project in _PROJECTS:
            await a_project(pool, project_id=project)
        house = House(pool=pool, root=plan.folder("ledger"))
        async with pool.acquire() as conn:
            await house.archive_keys.prepare(conn, at=now())  # what has expired is erased on discs too
        operations = Operations(house, plan.chance("ledger operations"))
        for number in range(1, wanted + 1):
            await operations.step()
            if number % _AUDIT_EVERY == 0:
                await operations.audit()
            if number % max(1, wanted // 10) == 0:
                plan.say(f"ledger: {number:,} of {wanted:,} operations")
        await operations.audit()
    books = operations.books
    plan.say("of them: " + ", ".join(f"{what} {count:,}" for what, count in sorted(operations.done.items())))
    return [
        Figure(name="random operations on the real ledger and files", figure=f"{wanted:,}", demand=f">= {wanted:,}", kept=True),
        Figure(name="  recordings released or deleted by them", figure=f"{books.released:,} and {len(books.gone):,}"),
        none_of("  files gone otherwise, or under hold", books.problems, plan),
    ]  # fmt: skip

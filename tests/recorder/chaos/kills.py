"""The intake killed 2,000 times: a recorder in a process of its own dies (SIGKILL) at a step, or at any moment, and the next one goes on.

Each process is forked from a server that has imported everything, so a life costs what the recorder does and not the start of an interpreter; the
encoder is started anew by each of them, as in production. Several calls are on their way at each death. After each the spool and the ledger are
looked at; now and then one recorder may finish; at the end every file is read, opened and compared with what an undisturbed encoder makes.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from lab.postgres import Postgres
from recorder import chaining
from recorder.steps import Step
from tests.databases import a_database, a_server
from tests.recorder import killed_recorder
from tests.recorder.builders import a_project, now, settings
from tests.recorder.chaos.calls import Kind, Spool, all_kinds, nothing
from tests.recorder.chaos.figures import Figure, Plan, none_of

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

KILLS = 2_000
_LANES = 4
_NEW_CALLS = 3
_SETTLE_EVERY = 40
_LONGEST_LIFE_S = 120.0
_RANDOM_S = 0.9
"""A life with so few calls is over sooner: some of the random kills come too late, and are not counted."""
_OF_A_KIND = {
    Step.POISON_LEDGERED: "garbage",
    Step.SET_ASIDE: "garbage",
    Step.MISSING_LEDGERED: "none",
}
Part = Callable[[Plan, Postgres], Awaitable[list[Figure]]]
_forks = multiprocessing.get_context("forkserver")


def live(url: str, root: str, step: str, count: int, told: Connection) -> None:
    """One life, in a forked process. What it logs is kept beside the spool."""
    with (Path(root) / "recorder.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    asyncio.run(killed_recorder.main(url, Path(root), step, count, say=told.send))


class Lane:
    """One spool, one recorder after the other."""

    def __init__(self, spool: Spool, url: str, plan: Plan, number: int, on_death: Callable[[], None]) -> None:
        self.spool = spool
        self.deaths: Counter[str] = Counter()
        self.encoders = 0
        self.found = nothing()
        self.stuck: list[str] = []
        self._url = url
        self._chance = plan.chance("lane", number)
        self._steps = itertools.cycle(self._chance.sample(list(Step), len(Step)))
        self._on_death = on_death

    async def run(self, kills: int) -> None:
        """Until so many recorders have died."""
        settled_at = 0
        while self.deaths.total() < kills:
            await self._life()
            self.found += await self.spool.look()
            if self.deaths.total() >= settled_at + _SETTLE_EVERY:
                await self.settle()
                settled_at = self.deaths.total()
        await self.settle()
        self.found += await self.spool.read_all()
        async with self.spool.pool.acquire() as conn:
            ring = await self.spool.keys.ring()
            while await chaining.chain_on(conn, ring, at=now()):
                pass
            if not (checked := await chaining.check(conn, ring)).sound:
                self.found.torn.append(f"the chain of the ledger: {checked}")

    async def settle(self) -> None:
        """A recorder that nobody kills finishes; all calls have come to their end."""
        process, _ = self._started("never", 1)
        await asyncio.to_thread(process.join, _LONGEST_LIFE_S)
        if process.exitcode != 0:
            self.stuck.append(f"{self.spool.root}: a recorder that nobody killed ended with {process.exitcode}")
            process.kill()
            return
        self.found += await self.spool.close()

    async def _life(self) -> None:
        at_step = self._chance.random() < 0.5
        step = next(self._steps) if at_step else "never"
        await self.spool.come(_NEW_CALLS)
        if step in _OF_A_KIND:
            await self.spool.come(1, _OF_A_KIND[Step(step)])
        process, told = self._started(step, self._chance.choice([1, 1, 2, 3]) if step not in _OF_A_KIND else 1)
        if at_step:
            await asyncio.to_thread(process.join, _LONGEST_LIFE_S)
        else:
            await asyncio.to_thread(self._kill_sometime, process, told, self._chance.uniform(0.0, _RANDOM_S))
        if process.exitcode is None:
            self.stuck.append(f"{self.spool.root}: a recorder did not come to {step}")
            process.kill()
            await asyncio.to_thread(process.join)
        if process.exitcode == -signal.SIGKILL:
            self.deaths[step if at_step else "random"] += 1
            self._on_death()

    def _kill_sometime(self, process: ForkServerProcess, told: Connection, delay_s: float) -> None:
        """Blocking. Sometimes the encoder goes first."""
        with suppress(EOFError):
            told.poll(_LONGEST_LIFE_S)
        process.join(delay_s)
        if process.exitcode is None and self._chance.random() < 0.2:
            for child in _children(process.pid):
                self.encoders += 1
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            process.join(self._chance.choice([0.0, 0.02, 0.2]))
        process.kill()
        process.join(_LONGEST_LIFE_S)

    def _started(self, step: str, count: int) -> tuple[ForkServerProcess, Connection]:
        ours, theirs = _forks.Pipe(duplex=False)
        process = _forks.Process(target=live, args=(self._url, str(self.spool.root), step, count, theirs), daemon=True)
        process.start()
        theirs.close()
        return process, ours


def _children(pid: int | None) -> list[int]:
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found


async def kill_the_intake(plan: Plan, server: Postgres) -> list[Figure]:
    """All lanes, side by side."""
    wanted = plan.count(KILLS, least=4)
    kinds = await asyncio.to_thread(all_kinds)
    _forks.set_forkserver_preload([__name__])
    done = 0

    def on_death() -> None:
        nonlocal done
        done += 1
        if done % max(1, wanted // 20) == 0:
            plan.say(f"{done} of {wanted} kills")

    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(_lane(plan, server, kinds, number, -(-wanted // _LANES), on_death), name=f"lane-{number}")
            for number in range(_LANES)
        ]
    lanes = [task.result() for task in running]
    deaths, found = sum((lane.deaths for lane in lanes), Counter[str]()), nothing()
    for lane in lanes:
        found += lane.found
    at_steps = ", ".join(f"{step} {deaths[step]}" for step in Step)
    plan.say(f"recorders killed at their steps: {at_steps}; at random: {deaths['random']}")
    return [
        Figure(
            name="recorder killed at every step and at random",
            figure=f"{deaths.total()} times",
            demand=f"{wanted}, every step",
            kept=deaths.total() >= wanted and (wanted < KILLS // 10 or all(deaths[step] for step in Step)),
        ),
        Figure(name="  encoders killed besides", figure=str(sum(lane.encoders for lane in lanes))),
        Figure(name="  calls that came in", figure=str(sum(len(lane.spool.calls) for lane in lanes))),
        none_of("  recorders that did not finish", [problem for lane in lanes for problem in lane.stuck], plan),
        none_of("  calls lost", found.lost, plan),
        none_of("  calls doubled", found.doubled, plan),
        none_of("  calls torn", found.torn, plan),
    ]


async def _lane(
    plan: Plan, server: Postgres, kinds: list[Kind], number: int, kills: int, on_death: Callable[[], None]
) -> Lane:
    url, root = await a_database(server), plan.folder(f"lane-{number}")
    settings(root)  # its directories
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        await a_project(pool)
        spool = Spool(pool, root, kinds, plan.chance("calls", number))
        lane = Lane(spool, url, plan, number, on_death)
        await lane.run(kills)
    return lane


async def run(plan: Plan) -> list[Figure]:
    """The part, on a server of its own."""
    async with a_server(plan.run_dir) as server:
        return await kill_the_intake(plan, server)

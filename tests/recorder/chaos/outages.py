"""What the intake stands on goes away: PostgreSQL is killed again and again under it, and disks run full."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from uuid import UUID

import asyncpg

from lab.postgres import Postgres
from recorder.service import Recorder
from recorder.steps import Step
from tests.databases import a_database, a_server
from tests.recorder import full_disk
from tests.recorder.builders import a_project, now, settings
from tests.recorder.chaos.calls import Spool, all_kinds, nothing
from tests.recorder.chaos.figures import Figure, Plan, none_of

DATABASE_KILLS = 100
FULL_DISKS = 20
_CALLS = 5
_STEP_COMES_S = 5.0
_SETTLE_S = 60.0


async def kill_the_database(plan: Plan) -> list[Figure]:
    """One recorder lives through all of it. The server is its own: nobody else's work is disturbed."""
    wanted = plan.count(DATABASE_KILLS)
    chance, deaths, root = plan.chance("database"), Counter[str](), plan.folder("outages")
    steps = itertools.cycle(chance.sample(list(Step), len(Step)))
    found, happened = nothing(), asyncio.Event()
    loop, awaited = asyncio.get_running_loop(), ""

    def on_step(done: str, _: UUID) -> None:
        if done == awaited:
            loop.call_soon_threadsafe(happened.set)

    async with a_server(root) as server:
        url = await a_database(server)
        of = settings(root, settle_s=0.1, legs_deadline_s=5.0)
        async with asyncpg.create_pool(url, min_size=1, max_size=3) as pool:
            await a_project(pool)
            spool = Spool(pool, root, await asyncio.to_thread(all_kinds), chance)
            recorder = Recorder(pool, of, clock=now, keys=spool.keys, on_step=on_step)
            await recorder.start()
            for number in range(wanted):
                awaited = next(steps) if chance.random() < 0.5 else "random"
                happened.clear()
                await spool.come(_CALLS)
                try:
                    async with asyncio.timeout(_STEP_COMES_S if awaited != "random" else chance.uniform(0.0, 0.5)):
                        await happened.wait()
                except TimeoutError:
                    awaited = "random"
                deaths[awaited] += 1
                server.kill()
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                await server.start()
                if (number + 1) % max(1, wanted // 5) == 0:
                    await recorder.settled(_SETTLE_S)
                    found += await spool.close()
                    plan.say(f"PostgreSQL: {number + 1} of {wanted} kills")
            await recorder.settled(_SETTLE_S)
            await recorder.stop()
            found += await spool.close()
            found += await spool.read_all()
    return [
        Figure(name="PostgreSQL killed under the recorder", figure=f"{deaths.total()} times, {deaths['random']} of them at random", demand=str(wanted), kept=deaths.total() == wanted),
        Figure(name="  calls that came in", figure=str(len(spool.calls))),
        none_of("  calls lost", found.lost, plan),
        none_of("  calls doubled", found.doubled, plan),
        none_of("  calls torn", found.torn, plan),
    ]  # fmt: skip


async def fill_the_disks(plan: Plan, server: Postgres) -> list[Figure]:
    """Stores and spools of many sizes, each a file system of its own that runs full and gets room again."""
    wanted, chance = plan.count(FULL_DISKS, least=2), plan.chance("full disks")
    problems, calls = list[str](), 0
    for number in range(wanted):
        which = ("store", "spool")[number % 2]
        url, root = await a_database(server), plan.folder(f"disk-{number}")
        size_kib = chance.randint(100, 180) if which == "store" else chance.randint(440, 700)
        seen = await full_disk.seen_on_a_small_disk(url, root, which, size_kib)
        calls += full_disk.CALLS if which == "store" else full_disk.SPOOL_CALLS
        problems += [f"{which} of {size_kib} KiB: {problem}" for problem in full_disk.broken(seen, which)]
    return [
        Figure(name="disks of store and spool that ran full", figure=f"{wanted}, {calls} calls", demand=str(wanted), kept=True),
        none_of("  promises broken on them", problems, plan),
    ]  # fmt: skip


async def run(plan: Plan) -> list[Figure]:
    """Both."""
    figures = await kill_the_database(plan)
    async with a_server(plan.folder("disks")) as server:
        return figures + await fill_the_disks(plan, server)

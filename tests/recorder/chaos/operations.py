"""Random operations on store, archive and their people: a million on the model beside the tests, and some on the real ledger with real files."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.databases import a_server
from tests.recorder.archive import model
from tests.recorder.chaos.figures import Figure, Plan, none_of
from tests.recorder.chaos.ledger_operations import operate_on_the_ledger

OPERATIONS = 1_000_000
_WORLDS = 8
_AT_ONCE = 2


def _world(operations: int, seed: int) -> Counter[str] | str:
    try:
        return model.run(operations, seed)
    except model.Violation as violation:
        return f"seed {seed}: {violation}"


async def operate_on_the_model(plan: Plan) -> list[Figure]:
    """Eight worlds with seeds of their own. The decisions are the product's."""
    wanted = plan.count(OPERATIONS, least=_WORLDS)
    chance, loop = plan.chance("operations"), asyncio.get_running_loop()
    done, problems = Counter[str](), list[str]()
    with ProcessPoolExecutor(_AT_ONCE) as processes:
        worlds = [
            loop.run_in_executor(processes, _world, -(-wanted // _WORLDS), chance.randrange(1 << 30))
            for _ in range(_WORLDS)
        ]
        for number, world in enumerate(asyncio.as_completed(worlds), 1):
            told = await world
            if isinstance(told, str):
                problems.append(told)
            else:
                done += told
            plan.say(f"{number} of {_WORLDS} worlds")
    shown = ", ".join(
        f"{what} {done[what]:,}"
        for what in ("record", "hold", "plan", "write", "read: verified", "damage", "lend", "lose", "release", "restore", "expire")
    )  # fmt: skip
    plan.say(f"of the operations: {shown}")
    return [
        Figure(name="random operations on the model", figure=f"{done.total():,}", demand=f">= {wanted:,}", kept=done.total() >= wanted),
        Figure(name="  released with two verified copies, or deleted after lawful expiry", figure=f"{done['release']:,} and {done['expire']:,}"),
        none_of("  files gone otherwise, or under hold", problems, plan),
    ]  # fmt: skip


async def run(plan: Plan) -> list[Figure]:
    """Both."""
    figures = await operate_on_the_model(plan)
    async with a_server(plan.run_dir) as server:
        return figures + await operate_on_the_ledger(plan, server)

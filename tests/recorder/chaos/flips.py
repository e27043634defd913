"""10,000 single bits, one flipped at a time and taken back: in the store, on a volume, in what a disc says without its ledger, and in the ledger.

Each has to be found by what an operator runs (`waihu recordings verify`, `verify-ledger`, `waihu archive verify`, `rebuild`), the call it is in has to be
named and no other, and what is clean must be called clean: that is looked at all the time in between.
"""

from __future__ import annotations

import asyncpg

from lab.postgres import Postgres
from tests.databases import a_database, a_server
from tests.recorder.chaos.figures import Figure, Plan, none_of
from tests.recorder.chaos.flipped_files import in_the_store, on_the_image, without_the_ledger
from tests.recorder.chaos.flipped_ledger import in_the_ledger
from tests.recorder.chaos.furnished import Bench

FLIPS = {"store": 2_500, "image": 4_000, "bag and catalogue": 1_500, "ledger": 2_000}


async def flip_bits(plan: Plan, server: Postgres) -> list[Figure]:
    """All places, one after the other."""
    url, root = await a_database(server), plan.folder("flips")
    async with asyncpg.create_pool(url, min_size=1, max_size=3) as pool:
        bench = Bench(pool, root)
        volume = await bench.furnish()
        count = {what: plan.count(full, least=40) for what, full in FLIPS.items()}
        tallies = {
            "store": await in_the_store(bench, plan, count["store"]),
            "image": await on_the_image(bench, volume, plan, count["image"]),
            "bag and catalogue": await without_the_ledger(bench, volume, plan, count["bag and catalogue"]),
            "ledger": await in_the_ledger(bench, plan, count["ledger"]),
        }
    wanted, flips = sum(count.values()), sum(tally.flips.total() for tally in tallies.values())
    for what, tally in tallies.items():
        plan.say(f"{what}: " + ", ".join(f"{name} {times}" for name, times in sorted(tally.flips.items())))
    return [
        Figure(name="single bits flipped", figure=f"{flips:,}", demand=f">= {wanted:,}", kept=flips >= wanted),
        *(Figure(name=f"  in {what}: regions", figure=f"{tally.flips.total():,} in {len(tally.flips)}") for what, tally in tallies.items()),
        none_of("  not found", [one for tally in tallies.values() for one in tally.missed], plan),
        none_of("  found, and the call not named", [one for tally in tallies.values() for one in tally.unnamed], plan),
        Figure(name="  looks at what was clean", figure=f"{sum(tally.clean for tally in tallies.values()):,}"),
        none_of("  reported on what was clean", [one for tally in tallies.values() for one in tally.false], plan),
    ]  # fmt: skip


async def run(plan: Plan) -> list[Figure]:
    """The part, on a server of its own."""
    async with a_server(plan.run_dir) as server:
        return await flip_bits(plan, server)

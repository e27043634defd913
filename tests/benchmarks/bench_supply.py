"""Claims from a long list of which a filter leaves out nine of ten: how many leads a second, and what judging the list by the filter takes.

Bounds: 2,000 leads a second, claimed by fifty as the engine does in a busy second; and nearly as many as from ten thousand leads without a filter. WAIHU_BENCH_LEADS: how long the list is.
Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

from campaigns.claim import claim
from campaigns.projects import Project
from campaigns.sql import Connection, Pool
from campaigns.supply.ordering import Ordering
from campaigns.supply.sifting import sift
from campaigns.supply.supplies import get_supply, set_supply
from tests.benchmarks.bench_claim import _INDEXES
from tests.benchmarks.database import a_database
from tests.builders import a_project, a_request

BOUND = 2_000
BOUND_RATIO = 0.7
LEADS = int(os.environ.get("WAIHU_BENCH_LEADS", "10000000"))
AT_ONCE = 50
ROUNDS = 100

_FILL = """
insert into leads (project_id, number, name, fields)
select $1, '+86' || (13000000000 + i)::text, 'customer ' || i, jsonb_build_object('tier', (i % 10)::text)
from generate_series(1, $2::bigint) i
"""


async def fill(pool: Pool, project_id: object) -> None:
    """A tenth of the list is of each tier."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("set local maintenance_work_mem = '512MB'; set local synchronous_commit = off")
        indexes = await conn.fetch(_INDEXES)
        for index in indexes:
            await conn.execute(f"drop index {index['indexname']}")
        await conn.execute(_FILL, project_id, LEADS, timeout=1200)
        for index in indexes:
            await conn.execute(index["indexdef"], timeout=1200)


async def rates(conn: Connection, projects: tuple[Project, Project]) -> list[float]:
    """Leads claimed a second of each project, in turn, so that whatever else the machine does falls on both alike."""
    took = [0.0, 0.0]
    for _ in range(ROUNDS):
        for place, project in enumerate(projects):
            now = datetime.now(UTC)  # noqa: TID251 -- a benchmark is its own composition root
            began = time.perf_counter()
            claimed = await claim(conn, a_request(project, AT_ONCE, now=now))
            took[place] += time.perf_counter() - began
            assert len(claimed) == AT_ONCE
    return [AT_ONCE * ROUNDS / one for one in took]


async def measure() -> tuple[float, float]:
    """Leads claimed a second: from the long list with a filter, and from a short one without."""
    async with a_database() as pool:
        project, other = await a_project(pool), await a_project(pool)
        await fill(pool, project.id)
        await pool.execute(
            "insert into leads (project_id, number) select $1, '+86' || (17000000000 + i)::text from generate_series(1, 10000) i",
            other.id,
        )
        async with pool.acquire() as conn:
            condition = {"custom": "tier", "op": "=", "value": "7"}
            await set_supply(conn, project.id, condition=condition, ordering=Ordering())
            began = time.perf_counter()
            assert await sift(conn, project.id)
            took = time.perf_counter() - began
            supply = await get_supply(conn, project.id)
            print(
                f"supply: {LEADS:,} leads judged, {LEADS / took:,.0f} a second; {supply.matching:,} are within the filter"
            )
            await conn.execute("vacuum analyze leads", timeout=1200)
            filtered, plain = await rates(conn, (project, other))
    return filtered, plain


def main() -> None:
    """Measure and print."""
    filtered, plain = asyncio.run(measure())
    for bound, ratio, said in (
        (f">= {BOUND:,} leads/s", filtered / BOUND, filtered >= BOUND),
        (f">= {BOUND_RATIO} of a short list's {plain:,.0f} leads/s", filtered / plain, filtered / plain >= BOUND_RATIO),
    ):
        verdict = "ok" if said else "MISSED"
        print(
            f"claims from {LEADS:,} leads with a filter | {filtered:,.0f} leads/s | {bound} | {ratio:.2f} | {verdict}"
        )


if __name__ == "__main__":
    main()

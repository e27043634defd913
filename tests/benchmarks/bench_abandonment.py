"""The abandonment budget costs a tick the same after 30 days as after one, an engine's start some bare sums, and an ended call hardly anything.

Twenty projects of 30 days, each quarter of an hour with answered calls of fourteen kinds. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta

from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from dialer.engine.abandonment import Abandonment
from dialer.engine.clock import SystemClock
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.projects import Projects
from dialer.live.feed import Feed
from tests.benchmarks.database import a_database
from tests.builders import NODE, a_project, an_attempt

PROJECTS, DAYS = 20, 30
TICKS, ENDED = 20_000, 600
BOUND_TICK, BOUND_START, BOUND_END = 1.3, 4.0, 1.5
BOUND_TICK_US, BOUND_AGAIN = 50.0, 0.1

_FILL = """
insert into answered_calls (project_id, quarter, outcome, wait_ds, calls)
select $1, quarter_of(now()) - n * interval '15 minutes', case when k = 0 then 'abandoned' when k = 1 then 'hung_up_early' else 'connected' end, k, 5
from generate_series(0, $2) n, generate_series(0, 13) k
"""
_BARE = "select project_id, outcome, wait_ds, sum(calls) from answered_calls group by 1, 2, 3"


async def an_office(pool: Pool) -> tuple[Abandonment, Projects]:
    """What an engine counts with."""
    projects = Projects(pool, NODE, SystemClock())
    await projects.refresh()
    journal = Journal(pool, Metrics(), every_s=0.0, bound=1000, on_ended=lambda _: None)
    return Abandonment(pool, projects, journal, Feed("bench"), SystemClock()), projects


async def start_ms(pool: Pool) -> tuple[float, float, float]:
    """Of all projects: read as an engine's start does, read again a quarter of an hour later, and summed by one bare statement; the quickest of five."""
    ours, again, bare = [], [], []
    for _ in range(5):
        office, _projects = await an_office(pool)
        began = time.perf_counter()
        await office.complete()
        ours.append((time.perf_counter() - began) * 1000)
        for book in office._books.values():
            book.read_for = None
        began = time.perf_counter()
        await office.complete()
        again.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        await pool.fetch(_BARE)
        bare.append((time.perf_counter() - began) * 1000)
    return min(ours), min(again), min(bare)


async def tick_us(pool: Pool, projects: list[Project]) -> list[float]:
    """What each project's budget costs a tick; in turn, so that what else the machine does falls on all alike."""
    office, known = await an_office(pool)
    await office.complete()
    spent = [0.0] * len(projects)
    for turn in range(TICKS):
        for n, project in list(enumerate(projects))[:: 1 if turn % 2 else -1]:
            current = known.find(project.id)
            assert current is not None
            began = time.perf_counter()
            office.of(current, live_answers=3)
            spent[n] += time.perf_counter() - began
    return [1e6 * one / TICKS for one in spent]


async def end_ms(pool: Pool, project: Project) -> tuple[float, float]:
    """To end an attempt that was not answered, and one that was: the medians, in turn, one statement each."""
    now = datetime.now(UTC)  # noqa: TID251 - a benchmark is its own composition root
    spent: dict[bool, list[float]] = {False: [], True: []}
    async with pool.acquire() as conn:
        for n in range(2 * ENDED):
            answered = n % 2 == 1
            claimed = await an_attempt(pool, project, now=now)
            end = EndedAttempt(
                attempt_id=claimed.attempt_id, outcome="connected" if answered else "no_answer", ended_at=now,
                answered_at=now if answered else None, bridged_at=now + timedelta(milliseconds=20 * (n % 100)) if answered else None,
            )  # fmt: skip
            began = time.perf_counter()
            await finish(conn, [end])
            spent[answered].append((time.perf_counter() - began) * 1000)
    return statistics.median(spent[False]), statistics.median(spent[True])


async def measure() -> None:
    """All of it."""
    async with a_database() as pool:
        made = [await a_project(pool, abandonment_period="days_30") for _ in range(PROJECTS)]
        await pool.execute("update projects set created_at = now() - interval '29 days'")
        young = await a_project(pool)
        for project in made:
            await pool.execute(_FILL, project.id, DAYS * 96)
        await pool.execute(_FILL, young.id, 0)
        await pool.execute("vacuum analyze answered_calls", timeout=600)
        rows = await pool.fetchval("select count(*) from answered_calls")
        print(f"abandonment: {rows:,} rows of {PROJECTS} projects")
        ours, again, bare = await start_ms(pool)
        _say(
            "budgets read at an engine's start",
            f"{ours:.0f} ms",
            f"{BOUND_START} x a bare sum",
            ours / bare,
            BOUND_START,
        )
        _say(
            "read again each quarter of an hour",
            f"{again:.0f} ms",
            f"{BOUND_AGAIN} x the start",
            again / ours,
            BOUND_AGAIN,
        )
        month, day = await tick_us(pool, [made[0], young])
        _say("budget in a tick, 30 days", f"{month:.1f} us", f"{BOUND_TICK} x a day's", month / day, BOUND_TICK)
        _say("budget in a tick", f"{month:.1f} us", f"{BOUND_TICK_US:.0f} us", month / BOUND_TICK_US, 1.0)
        unanswered, answered = await end_ms(pool, young)
        ratio = answered / unanswered
        _say("end of an answered call", f"{answered:.2f} ms", f"{BOUND_END} x an unanswered", ratio, BOUND_END)


def _say(name: str, figure: str, bound: str, ratio: float, most: float) -> None:
    print(f"{name} | {figure} | {bound} | {ratio:.2f} | {'ok' if ratio <= most else 'MISSED'}")


def main() -> None:
    """Measure and print."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()

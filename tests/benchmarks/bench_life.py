"""Stop rules and the supply alarm cost the same however long a project runs and however much its list holds.

Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from campaigns.life.stop_rules import RuleKind, StopRule
from campaigns.life.watching import last_calls, save_stop_rules
from campaigns.projects import Project
from campaigns.sql import Pool
from campaigns.supply.lasting import shortage
from dialer.domain.outcomes import Outcome
from dialer.domain.pacing import Mode
from dialer.engine.alarms import Alarms
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from dialer.engine.metrics import Metrics
from dialer.engine.projects import Projects
from dialer.engine.stop_watch import StopWatch
from dialer.live.feed import Feed
from tests.benchmarks.database import a_database
from tests.builders import NODE, a_project

EARLY, CALLS = 20_000, 400_000
SHORT_LIST, LONG_LIST = 5_000, 500_000
FEW, MANY = 5_000, 300_000
BOUND_CALL_US, BOUND_CALL, BOUND_LIST, BOUND_HISTORY = 40.0, 1.3, 2.0, 2.0
NOW = datetime.now(UTC)  # noqa: TID251 - a benchmark is its own composition root
RULES = [
    StopRule(kind=RuleKind.COMPLAINTS, tolerated=0.002, alarming=0.01),
    StopRule(kind=RuleKind.ABANDONMENT, tolerated=0.03, alarming=0.09),
    StopRule(kind=RuleKind.ANSWERS, tolerated=0.25, alarming=0.1),
]

_LEADS = """
insert into leads (project_id, number, state, next_at, zone)
select $1, '+861' || lpad((i + $3)::text, 10, '0'), 'retry', now() - interval '1 hour', 'Asia/Shanghai' from generate_series(1, $2::integer) i
"""
_HISTORY = """
insert into attempts (id, project_id, number, node, trunk_id, caller_number, mode, state, created_at, ended_at, outcome, answered_at)
select (substr(uuid7_floor(t.at)::text, 1, 24) || lpad(to_hex(t.i), 12, '0'))::uuid, $1, '+8613800000000', 'node-1', $3, '+862155550000', 'progressive', 'ended',
       t.at, t.at, 'connected', t.at
from (select i, now() - interval '20 days' * (i::float8 / $2) as at from generate_series(1, $2::integer) i) t
"""


def a_call(project: Project, n: int) -> Call:
    """One that is over: three of four were not answered."""
    return Call(
        attempt_id=UUID(int=n), project_id=project.id, lead_id=n, number="+8613800000000", mode=Mode.PROGRESSIVE, trunk_id=UUID(int=1),
        caller_number="", created_at=NOW, placed_s=0.0, ended_at=NOW, answered_at=NOW if n % 4 == 0 else None,
        outcome=Outcome.CONNECTED if n % 4 == 0 else Outcome.BUSY,
    )  # fmt: skip


async def call_us(pool: Pool, project: Project) -> tuple[float, float]:
    """What a call that ends costs with three rules: of the first calls, and of the last of many."""
    await save_stop_rules(pool, project.id, RULES, NOW - timedelta(days=1))
    projects, metrics = Projects(pool, NODE, SystemClock()), Metrics()
    await projects.refresh()
    watch = StopWatch(pool, projects, Alarms(Feed("bench"), metrics), metrics, SystemClock(), again_s=1.0)
    await watch.refresh()

    def spent(first: int) -> float:
        calls = [a_call(project, n) for n in range(first, first + EARLY)]
        began = time.perf_counter()
        for one in calls:
            watch.ended(one)
        return 1e6 * (time.perf_counter() - began) / EARLY

    early = spent(1)
    for n in range(EARLY + 1, CALLS):
        watch.ended(a_call(project, n))
    return early, min(spent(CALLS + turn * EARLY) for turn in range(3))


async def looks_ms(pool: Pool, project: Project) -> float:
    """One look at the supply; the quickest of nine."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        await shortage(pool, project.id, NOW, raised=False)
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


async def back_ms(pool: Pool, project: Project) -> float:
    """Looking back at the newest calls; the quickest of nine."""
    times = []
    for _ in range(9):
        began = time.perf_counter()
        await last_calls(pool, project.id, NOW - timedelta(days=365))
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


async def measure() -> None:
    """All of it."""
    async with a_database() as pool:
        early, late = await call_us(pool, await a_project(pool))
        _say("a call under three stop rules", f"{late:.1f} us", f"{BOUND_CALL_US:.0f} us", late / BOUND_CALL_US, 1.0)
        _say(f"after {CALLS:,} calls, beside the first", f"{late:.1f} us", f"{BOUND_CALL} x", late / early, BOUND_CALL)
        short, long = await a_project(pool), await a_project(pool)
        await pool.execute(_LEADS, short.id, SHORT_LIST, 0, timeout=600)
        await pool.execute(_LEADS, long.id, LONG_LIST, 1_000_000, timeout=600)
        await pool.execute("vacuum analyze leads", timeout=600)
        few, many = await looks_ms(pool, short), await looks_ms(pool, long)
        _say(
            f"supply alarm, {LONG_LIST:,} leads come back", f"{many:.1f} ms", f"{BOUND_LIST} x", many / few, BOUND_LIST
        )
        young, old = await a_project(pool), await a_project(pool)
        for project, calls in ((young, FEW), (old, MANY)):
            await pool.execute(_HISTORY, project.id, calls, project.trunk_id, timeout=600)
        await pool.execute("vacuum analyze attempts", timeout=600)
        new, aged = await back_ms(pool, young), await back_ms(pool, old)
        _say(f"looking back, {MANY:,} calls made", f"{aged:.1f} ms", f"{BOUND_HISTORY} x", aged / new, BOUND_HISTORY)


def _say(name: str, figure: str, bound: str, ratio: float, limit: float) -> None:
    print(f"{name} | {figure} | {bound} | {ratio:.2f} | {'ok' if ratio <= limit else 'MISSED'}", flush=True)


def main() -> None:
    """As the runner calls it."""
    asyncio.run(measure())

"""Gates never limit pacing: the full decision for a lead under four packs, in process; and a do-not-call list of millions is looked up without a scan.

WAIHU_BENCH_NUMBERS: how long the do-not-call list is. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import orjson
import pytest

from campaigns import do_not_call
from campaigns.claim import claim_number
from campaigns.do_not_call_sql import listed
from campaigns.errors import Refused
from campaigns.rules.facts import PastCall, Subject
from campaigns.rules.loading import read_pack, shipped
from campaigns.rules.ruleset import combine, first_refusal
from campaigns.sql import OneConnection, Pool
from dialer.db.pool import close_pool, create_pool
from tests.benchmarks.database import a_server
from tests.builders import NOON, a_project, a_request

BOUND_US = 50.0
BOUND_EFFECT_S = 1.0
BOUND_PAGES = 3
LONG = int(os.environ.get("WAIHU_BENCH_NUMBERS", "10000000"))
SHORT = 10_000
_DECISIONS = 20_000
_LOOKUPS = 2_000


def decisions_us() -> list[float]:
    """Microseconds for each full decision: every line of four packs, a number that was called eight times this month, nothing refuses."""
    packs = [
        read_pack(shipped()[name, "2026.1"]) for name in ("cn-general", "cn-collection", "us-telemarketing", "uk-ofcom")
    ]
    rules = combine(packs)
    project = UUID(int=7)
    past = tuple(
        PastCall(at=NOON - timedelta(days=3 * day, hours=2), project_id=project, client="acme") for day in range(1, 9)
    )
    subject = Subject(
        now=NOON, project_id=project, client="acme", project_zone="Asia/Shanghai", mode="predictive", number="+8613800000001", zone="Asia/Shanghai",
        region="上海", attempts=1, past=past, consents=frozenset({"marketing"}), lists={"us-national-dnc": NOON, "uk-tps": NOON},
    )  # fmt: skip
    subjects = [replace(subject, now=NOON + timedelta(seconds=second)) for second in range(600)]
    found = first_refusal(rules, subject)
    assert found is None, found  # every line was asked
    samples = []
    for turn in range(_DECISIONS):
        one = subjects[turn % len(subjects)]
        began = time.perf_counter_ns()
        first_refusal(rules, one)
        samples.append((time.perf_counter_ns() - began) / 1000)
    return samples


_FILL = """
insert into do_not_call (number, reason, source, created_at, category)
select '+86' || (13000000000 + i)::text, 'asked', 'bench', now(), case when i % 2 = 0 then 'own' else 'list' end from generate_series($1::bigint, $2::bigint) i
"""
_LOOK = f"select {listed(number='$1::text', client='$2::text', project='$3::uuid', region='$4::text', at='now()')}"


async def lookups(conn: OneConnection, entries: int) -> tuple[float, float]:
    """Of a lookup, every second one a hit: pages touched (the mean, which no load of the machine changes), and microseconds (the median)."""
    pages, samples = 0, []
    statement = await conn.prepare(_LOOK)
    for turn in range(_LOOKUPS):
        given = (f"+86{13_000_000_000 + (turn * 7919) % entries * (1 + turn % 2 * 9)}", "acme", UUID(int=1), None)
        began = time.perf_counter_ns()
        await statement.fetchval(*given)
        samples.append((time.perf_counter_ns() - began) / 1000)
        if turn % 10 == 0:
            told = await conn.fetchval(f"explain (analyze, buffers, format json) {_LOOK}", *given)
            (explained,) = told if isinstance(told, list) else orjson.loads(told)
            pages += explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]
    return pages / (_LOOKUPS / 10), statistics.median(samples)


async def plan(conn: OneConnection) -> str:
    """How PostgreSQL looks a number up."""
    rows = await conn.fetch(f"explain {_LOOK}", "+8613000000001", "acme", UUID(int=1), None)
    return "\n".join(row[0] for row in rows)


async def effect_s(pool: Pool, url: str) -> float:
    """Seconds from the beginning of an entry on one engine's pool until the other's claim refuses the number."""
    other = await create_pool(url, max_size=2)
    try:
        project = await a_project(pool)
        began = time.perf_counter()
        await do_not_call.add(pool, ["+8615900000001"], reason="asked", source="bench", now=NOON)
        with pytest.raises(Refused, match="do-not-call"):
            await claim_number(other, a_request(project), number="+8615900000001")
        return time.perf_counter() - began
    finally:
        await close_pool(other)


async def fill(conn: OneConnection, entries: int) -> None:
    """A list of so many; its keys are made again afterwards, from the catalogue's own words: a table without them fills three times as fast."""
    indexes = await conn.fetch("select indexname, indexdef from pg_indexes where tablename = 'do_not_call'")
    for index in indexes:
        await conn.execute(f"drop index {index['indexname']}")
    await conn.execute(_FILL, SHORT + 1, entries, timeout=1200)
    for index in indexes:
        await conn.execute(index["indexdef"], timeout=1200)
    await conn.execute("vacuum analyze do_not_call", timeout=1200)


async def measure() -> tuple[tuple[float, float], tuple[float, float], str, float]:
    """Lookups in a short list, in a long one, how it is looked up, and how soon an entry holds."""
    async with a_server() as url:
        pool = await create_pool(url, statement_timeout_s=1200)
        async with pool.acquire() as conn:
            await conn.execute(_FILL, 1, SHORT)
            await conn.execute("vacuum analyze do_not_call")
            short = await lookups(conn, SHORT)
            began = time.perf_counter()
            await fill(conn, LONG)
            size = await conn.fetchval("select pg_size_pretty(pg_total_relation_size('do_not_call'))")
            print(f"gates: {LONG:,} do-not-call entries ({size}) made in {time.perf_counter() - began:.0f} s")
            long = await lookups(conn, LONG)
            how = await plan(conn)
        seconds = await effect_s(pool, url)
        await close_pool(pool)
    return short, long, how, seconds


def main() -> None:
    """Measure and print."""
    decision = decisions_us()
    p50, p99 = statistics.median(decision), statistics.quantiles(decision, n=100)[98]
    ok = "ok" if p50 <= BOUND_US else "MISSED"
    print(f"gates: every line of four packs, p99 {p99:.1f} µs")
    print(f"full decision for a lead, p50 | {p50:.1f} µs | <= {BOUND_US:.0f} µs | {p50 / BOUND_US:.2f} | {ok}")
    (short, short_us), (long, long_us), how, seconds = asyncio.run(measure())
    scans = "Seq Scan on do_not_call d" in how
    verdict = "ok" if long <= short + BOUND_PAGES and not scans else "MISSED"
    print(f"gates: lookup p50 {long_us:.0f} µs in {LONG:,}, {short_us:.0f} µs in {SHORT:,}")
    figure = f"{long:.1f} pages, in {SHORT:,} {short:.1f}"
    print(f"do-not-call lookup in {LONG:,} | {figure} | <= {BOUND_PAGES} pages more | {long / short:.2f} | {verdict}")
    verdict = "ok" if seconds <= BOUND_EFFECT_S else "MISSED"
    print(
        f"do-not-call entry holds on another engine | {seconds * 1000:.0f} ms | <= {BOUND_EFFECT_S:.0f} s | {seconds:.2f} | {verdict}"
    )
    if scans:
        print(how)


if __name__ == "__main__":
    main()

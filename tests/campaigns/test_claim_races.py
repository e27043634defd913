"""Invariants 1, 2 and 8 under fire: eight claimers on two pools (two nodes), connections cut and PostgreSQL killed at random moments.

The reference is not the code but the rows: after every storm they are read and must fit together.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from campaigns import do_not_call
from campaigns.claim import claim
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from dialer.db.attempts import live_of_node
from dialer.db.migrate import migrate
from dialer.db.pool import LOST, close_pool, create_pool
from lab.postgres import Postgres
from tests.builders import NOON, a_project, a_request, new_ids
from tests.campaigns import caps_storm

pytestmark = [pytest.mark.services, pytest.mark.faults]
CAP = 2
NUMBERS = 120


async def two_projects_of_the_same_people(pool: Pool) -> list[Project]:
    """Two projects with the same numbers, so that every number is fought for, and a cap that both count towards."""
    projects = [await a_project(pool, daily_cap_per_number=CAP, max_attempts=100) for _ in range(2)]
    for project in projects:
        await pool.execute(
            "insert into leads (project_id, number) select $1, '+86138' || lpad(i::text, 8, '0') from generate_series(1, $2) i order by random()",
            project.id,
            NUMBERS,
        )
        await pool.execute("insert into retry_rules values ($1, 'again', interval '0', 1000)", project.id)
    return projects


async def check_invariants(pool: Pool) -> None:
    """What must hold at any moment, whatever happened."""
    over_cap = await pool.fetch("select number, count(*) from attempts group by number having count(*) > $1", CAP)
    assert over_cap == []
    miscounted = await pool.fetch(
        """select c.number from callees c left join attempts a on a.number = c.number
           group by c.number, c.called having cardinality(c.called) <> count(a.id)"""
    )
    assert miscounted == []
    twice_alive = await pool.fetch(
        "select number from attempts where state <> 'ended' group by number having count(*) > 1"
    )
    assert twice_alive == []
    adrift = await pool.fetch(
        "select a.id, v.attempt_id from attempts a full join live_attempts v on v.attempt_id = a.id where (a.state <> 'ended') is distinct from (v.attempt_id is not null)"
    )
    assert adrift == []
    leads_adrift = await pool.fetch(
        """select l.id from leads l where (l.state = 'in_flight') <> exists (select from live_attempts v where v.lead_id = l.id)
           or l.attempts <> (select count(*) from attempts a where a.lead_id = l.id)"""
    )
    assert leads_adrift == []


class Claimer:
    """Claims and ends, as an engine does, until there is nothing to claim; remembers what it was told."""

    def __init__(self, pool: Pool, node: str, project: Project, rng: random.Random) -> None:
        self.pool, self.node, self.project, self.rng = pool, node, project, rng
        self.told: list[UUID] = []
        self.lost = 0

    async def work(self, *, until_dry: bool, stop: asyncio.Event) -> None:
        dry = 0
        at = NOON
        while not stop.is_set() and dry < 3:
            at += timedelta(minutes=2)  # who was put aside comes back
            count = self.rng.randint(1, 7)
            request = replace(a_request(self.project, count), node=self.node, now=at, attempt_ids=new_ids(count, NOON))
            try:
                claimed = await claim(self.pool, request)
                self.told += [one.attempt_id for one in claimed]
                ended = [EndedAttempt(attempt_id=one.attempt_id, outcome="again", ended_at=NOON) for one in claimed]
                self.rng.shuffle(ended)
                for end in [ended[:2], ended[2:], ended[:1]]:
                    await finish(self.pool, end)
            except LOST:
                self.lost += 1
                await self.recover(stop)
                continue
            dry = dry + 1 if until_dry and not claimed else 0

    async def recover(self, stop: asyncio.Event) -> None:
        """As an engine does: ask what is alive on the node, and end it; never claim with the same ids again."""
        while not stop.is_set():
            try:
                alive = await live_of_node(self.pool, self.node)
                await finish(
                    self.pool, [EndedAttempt(attempt_id=one.id, outcome="again", ended_at=NOON) for one in alive]
                )
                return
            except LOST:
                await asyncio.sleep(0.02)


Crew = Callable[[str, list[Project], int], Awaitable[list[Claimer]]]


@pytest.fixture
async def crew(database_url: str) -> AsyncIterator[Crew]:  # asks for the database so as to be gone before it
    """Eight claimers on two pools, four for each of two projects: (database URL, projects, seed) → claimers."""
    pools: list[Pool] = []

    async def of(url: str, projects: list[Project], seed: int) -> list[Claimer]:
        pools.extend([await create_pool(url, max_size=5, application_name="waihu claimer") for _ in range(2)])
        return [
            Claimer(pools[place % 2], f"node-{place}", projects[place // 2 % 2], random.Random(seed + place))
            for place in range(8)
        ]

    yield of
    for one in pools:
        await close_pool(one)


async def test_eight_claimers_on_two_pools_never_double_a_number_nor_pass_a_cap(
    pool: Pool, database_url: str, crew: Crew
) -> None:
    projects = await two_projects_of_the_same_people(pool)
    claimers = await crew(database_url, projects, 1)
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as storm:
        for claimer in claimers:
            storm.create_task(claimer.work(until_dry=True, stop=stop))
    await check_invariants(pool)
    told = [attempt for claimer in claimers for attempt in claimer.told]
    assert len(told) == len(set(told)) == await pool.fetchval("select count(*) from attempts") == NUMBERS * CAP
    assert await pool.fetchval("select count(*) from live_attempts") == 0


async def test_connections_cut_at_random_lose_nothing_and_double_nothing(
    pool: Pool, database_url: str, crew: Crew
) -> None:
    projects = await two_projects_of_the_same_people(pool)
    claimers = await crew(database_url, projects, 2)
    rng, stop, cuts = random.Random(3), asyncio.Event(), 0
    cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'waihu claimer' and datname = current_database() and random() < 0.4"

    async def cut_at_random() -> None:
        nonlocal cuts
        while cuts < 60 and not stop.is_set():
            await asyncio.sleep(rng.uniform(0, 0.03))
            cuts += await pool.fetchval(cut)
            await check_invariants(pool)

    async with asyncio.timeout(90):
        async with asyncio.TaskGroup() as storm:
            cutter = storm.create_task(cut_at_random())
            for claimer in claimers:
                storm.create_task(claimer.work(until_dry=False, stop=stop))
            await cutter
            stop.set()
        stop.clear()
        for claimer in claimers:
            await claimer.recover(stop)
            await claimer.work(until_dry=True, stop=stop)
    await check_invariants(pool)
    assert cuts >= 60
    assert sum(claimer.lost for claimer in claimers) > 10
    assert await pool.fetchval("select count(*) from attempts") == NUMBERS * CAP
    assert await pool.fetchval("select count(*) from live_attempts") == 0


@asynccontextmanager
async def a_durable_server(run_dir: Path) -> AsyncIterator[Postgres]:
    folder = run_dir / f"killed-{os.urandom(4).hex()}"
    folder.mkdir()
    server = Postgres(folder, fsync=True)
    await server.start()
    try:
        await asyncio.to_thread(migrate, server.url)
        yield server
    finally:
        await server.stop()


@pytest.mark.slow
async def test_postgresql_killed_at_random_loses_no_claim_that_was_answered(run_dir: Path, crew: Crew) -> None:
    rng = random.Random(4)
    async with asyncio.timeout(110), a_durable_server(run_dir) as server:
        pool = await create_pool(server.url)
        projects = await two_projects_of_the_same_people(pool)
        claimers = await crew(server.url, projects, 5)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as storm:
            for claimer in claimers:
                storm.create_task(claimer.work(until_dry=False, stop=stop))
            for _ in range(4):
                await asyncio.sleep(rng.uniform(0.05, 0.25))
                server.kill()
                await server.start()
                await until_it_answers(pool)
                await check_invariants(pool)
            stop.set()
        stop.clear()
        for claimer in claimers:
            await claimer.recover(stop)
            await claimer.work(until_dry=True, stop=stop)
        await check_invariants(pool)
        kept = {row["id"] for row in await pool.fetch("select id from attempts")}
        assert {attempt for claimer in claimers for attempt in claimer.told} <= kept
        assert len(kept) == NUMBERS * CAP
        assert sum(claimer.lost for claimer in claimers) >= 8
        await close_pool(pool)


async def until_it_answers(pool: Pool) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await pool.fetchval("select 1")
                return
            except LOST:
                await asyncio.sleep(0.05)


async def test_a_do_not_call_entry_holds_for_the_next_claim_of_every_node(
    pool: Pool, database_url: str, crew: Crew
) -> None:
    projects = await two_projects_of_the_same_people(pool)
    claimers = await crew(database_url, projects, 6)
    stop = asyncio.Event()
    forbidden = [f"+86138{place:08d}" for place in range(1, NUMBERS + 1, 3)]
    async with asyncio.timeout(60), asyncio.TaskGroup() as storm:
        for claimer in claimers:
            storm.create_task(claimer.work(until_dry=True, stop=stop))
        await do_not_call.add(pool, forbidden, reason="asked", source="test", now=NOON)
        before = await pool.fetchval("select count(*) from attempts where number = any ($1::text[])", forbidden)
    # Statements that had begun before the entry was committed may still have been under way when it was counted: at most one for each claimer.
    after = await pool.fetchval("select count(*) from attempts where number = any ($1::text[])", forbidden)
    assert after - before <= 8 * 7
    assert (
        await pool.fetchval(
            "select count(*) from leads where number = any ($1::text[]) and state in ('new', 'retry')", forbidden
        )
        == 0
    )
    assert len(await claim(pool, a_request(projects[0], NUMBERS, now=NOON + timedelta(days=1)))) == NUMBERS - len(
        forbidden
    )
    assert await pool.fetchval("select count(*) from live_attempts where number = any ($1::text[])", forbidden) == 0


async def test_a_claimer_that_waits_does_not_hold_up_the_others(pool: Pool) -> None:
    """A transaction that holds leads and never ends: others take the next leads at once."""
    project = (await two_projects_of_the_same_people(pool))[0]
    async with pool.acquire() as stuck:
        transaction = stuck.transaction()
        await transaction.start()
        held = {one.lead_id for one in await claim(stuck, a_request(project, 50))}
        async with asyncio.timeout(2):
            free = {one.lead_id for one in await claim(pool, a_request(project, 50))}
        assert len(held) == len(free) == 50
        assert not held & free
        await transaction.rollback()


async def test_sliding_caps_are_exact_under_eight_claimers_on_two_pools(pool: Pool, database_url: str) -> None:
    other = await create_pool(database_url, max_size=6)
    try:
        storm = await caps_storm.a_storm(pool, numbers=60, claims=1500)
        async with asyncio.timeout(100):
            await caps_storm.run(storm, [pool, other])
            assert await pool.fetchval("select count(*) from attempts") == storm.claims >= 1500
            assert await caps_storm.violations(pool) == 0
            # Without the caps the same storm passes them, and is found out.
            await pool.execute("delete from project_rules")
            storm.wanted += 300
            await caps_storm.run(storm, [pool, other])
            assert await caps_storm.violations(pool) > 0
    finally:
        await close_pool(other)

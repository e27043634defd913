"""Claimers on two pools who fight for the same numbers under sliding caps, and an oracle that counts afterwards by hand. Used by the suite and by `make bench`."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from campaigns.claim import claim
from campaigns.errors import NotEvaluable
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.rule_packs import PackRef, add_pack, choose
from campaigns.sql import Pool
from tests.builders import NOON, a_project, a_request, new_ids

CAPS = ((2, timedelta(minutes=5)), (6, timedelta(days=1)), (20, timedelta(days=7)))
"""Most calls, in how long."""

_HEAD = 'pack = "caps"\nversion = "1"\njurisdiction = "XX"\ntitle_en = "x"\ntitle_zh = "x"\nremark_en = "x"\nremark_zh = "x"\n'
_LINE = """
[[rule]]
id = "cap-{seconds}"
kind = "frequency"
most = {most}
period = "PT{seconds}S"
of = "client"
says_en = "x"
says_zh = "x"
source = "x"
standing = "practice"
test = [{{ allowed = true, at = 2026-06-01T04:00:00Z }}, {{ allowed = false, at = 2026-06-01T04:00:00Z, before = [{before}] }}]
"""


@dataclass(slots=True)
class Storm:
    """What is fought over, the shared clock, and how much was claimed."""

    projects: Sequence[Project]
    wanted: int
    at: datetime = NOON
    claims: int = 0
    contended: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def tick(self) -> datetime:
        """The next moment; now and then a pause in which caps get room again."""
        self.at += timedelta(seconds=1) if self.rng.random() < 0.9 else timedelta(minutes=self.rng.randint(1, 30))
        return self.at


async def a_storm(pool: Pool, *, numbers: int, claims: int) -> Storm:
    """Two projects of one client with the same numbers, under three sliding caps."""
    document = _HEAD + "".join(
        _LINE.format(most=most, seconds=int(period.total_seconds()), before=", ".join(['"PT1S"'] * most))
        for most, period in CAPS
    )
    projects = []
    for _ in range(2):
        project = await a_project(pool, client="acme", daily_cap_per_number=100, max_attempts=100)
        async with pool.acquire() as conn:
            await add_pack(conn, document, now=NOON)
            await choose(conn, project.id, [PackRef(pack="caps", version="1")], now=NOON)
        await pool.execute(
            "insert into leads (project_id, number) select $1, '+86138' || lpad(i::text, 8, '0') from generate_series(1, $2) i order by random()",
            project.id, numbers,
        )  # fmt: skip
        await pool.execute(
            "insert into retry_rules (project_id, outcome, retry_after, max_times, counts) values ($1, 'again', interval '0', 1000000, false)",
            project.id,
        )
        projects.append(project)
    return Storm(projects=projects, wanted=claims)


async def claimer(storm: Storm, pool: Pool, place: int) -> None:
    """Claim and end calls until all are made."""
    project, node = storm.projects[place % 2], f"node-{place}"
    while storm.claims < storm.wanted:
        at = storm.tick()
        count = storm.rng.randint(5, 40)
        request = replace(a_request(project, count), node=node, now=at, attempt_ids=new_ids(count, at))
        try:
            found = await claim(pool, request)
        except NotEvaluable:
            storm.contended += 1
            continue
        storm.claims += len(found)
        await finish(pool, [EndedAttempt(attempt_id=one.attempt_id, outcome="again", ended_at=at) for one in found])


async def violations(pool: Pool) -> int:
    """How many calls were one too many in some window, counted from the attempts alone."""
    rows = await pool.fetch(
        "select number, array_agg(created_at order by created_at) as times from attempts group by number"
    )
    found = 0
    for row in rows:
        times: list[datetime] = row["times"]
        for place, at in enumerate(times):
            for most, period in CAPS:
                # Those of the window that ends with this call: later than `at - period`.
                if place + 1 - bisect_right(times, at - period) > most:
                    found += 1
    return found


async def run(storm: Storm, pools: Sequence[Pool], claimers: int = 8) -> None:
    """Half of the claimers on each pool, half for each project."""
    async with asyncio.TaskGroup() as tasks:
        for place in range(claimers):
            tasks.create_task(claimer(storm, pools[place // 2 % len(pools)], place), name=f"claimer {place}")

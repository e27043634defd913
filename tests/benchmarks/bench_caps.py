"""Frequency caps are exact: 100,000 claims by eight claimers on two pools under three sliding caps, with Redis killed in between; then every call is counted by hand.

WAIHU_BENCH_CLAIMS: how many. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from dialer.db.pool import close_pool, create_pool
from lab.redis import Redis
from tests.benchmarks.database import a_server
from tests.campaigns.caps_storm import Storm, a_storm, run, violations

CLAIMS = int(os.environ.get("WAIHU_BENCH_CLAIMS", "100000"))
NUMBERS = 2_000


async def kill_redis(storm: Storm, redis: Redis) -> int:
    """Kill and start Redis again and again while the storm goes on; how often."""
    kills = 0
    while storm.claims < storm.wanted:
        redis.kill()
        kills += 1
        await redis.start()
        await asyncio.sleep(1)
    return kills


async def measure() -> tuple[int, int, int, float]:
    """Claims, violations, kills of Redis, seconds."""
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(Path(folder))
        await redis.start()
        async with a_server() as url:
            pools = [await create_pool(url, max_size=6) for _ in range(2)]
            storm = await a_storm(pools[0], numbers=NUMBERS, claims=CLAIMS)
            began = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                killer = tasks.create_task(kill_redis(storm, redis), name="kill redis")
                tasks.create_task(run(storm, pools), name="storm")
            seconds = time.perf_counter() - began
            found = await violations(pools[0])
            for pool in pools:
                await close_pool(pool)
        await redis.stop()
    return storm.claims, found, killer.result(), seconds


def main() -> None:
    """Measure and print."""
    claims, found, kills, seconds = asyncio.run(measure())
    print(
        f"caps: {claims:,} claims of {NUMBERS:,} numbers in {seconds:.0f} s ({claims / seconds:.0f}/s), Redis killed {kills} times"
    )
    print(
        f"calls over a frequency cap in {claims:,} claims | {found} | 0 | {found} | {'ok' if found == 0 else 'MISSED'}"
    )


if __name__ == "__main__":
    main()

"""Many listeners at a time, on sealed recordings by signed links: every jump is checked, opened and audited before its first byte.

200 listeners at 1.5 times the speed for a minute, who jump every ten seconds: nobody's sound may run dry. 50 listeners who jump about every second: the
first byte, 99th percentile, beside an nginx that sends the same bytes unsealed, unasked and unnoted, in turns within the same run. What the commit of a row
takes alone is printed with it: we owe it before the first byte, nginx does not.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from tests.benchmarks.streaming_house import StreamingHouse, a_streaming_house

SIZE, RECORDINGS = 5_400_000, 20  # half an hour each
LISTENERS, SPEED, SECONDS = 200, 1.5, 60
JUMPERS, ROUNDS, FIRST_BYTE_BOUND = 50, 4, 2.0


async def listened(port: int, paths: list[str], **crowd: Any) -> dict[str, Any]:
    """What a crowd met with."""
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.listeners",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await client.communicate(
        json.dumps({"port": port, "paths": paths, "size": SIZE, "speed": SPEED, **crowd}).encode()
    )
    if client.returncode:
        raise SystemExit(f"the listeners failed: {out.decode(errors='replace')[-500:]}")
    seen: dict[str, Any] = json.loads(out)
    return seen


def p99(times_ms: list[float]) -> float:
    """Of all of them."""
    return sorted(times_ms)[int(len(times_ms) * 0.99)]


async def all_heard(house: StreamingHouse, paths: list[str]) -> bool:
    """200 listeners for a minute: nobody's sound runs dry, and each jump is a row."""
    before = int(await house.pool.fetchval("select count(*) from audit_log"))
    seen = await listened(house.port, paths, listeners=LISTENERS, seconds=SECONDS, stay_s=10)
    rows = int(await house.pool.fetchval("select count(*) from audit_log")) - before
    held: bool = seen["stalls"] == 0 and rows >= len(seen["first_byte_ms"])
    print(
        f"  {seen['jumps']} jumps, {rows} audit rows; p99 {p99(seen['first_byte_ms']):.0f} ms to the first byte, {p99(seen['audible_ms']):.0f} ms to a second of sound"
    )
    print(
        f"{LISTENERS} listeners at {SPEED}x for {SECONDS} s | {seen['stalls']} stalls | none | - | {'ok' if held else 'MISSED'}",
        flush=True,
    )
    return held


async def committed(house: StreamingHouse) -> list[float]:
    """What it takes to write and commit one audit row, as often as listeners jump; ms, sorted."""
    taken = []
    async with house.pool.acquire() as conn:
        for _ in range(400):
            began = time.perf_counter()
            await conn.execute(
                "insert into audit_log (actor, action, subject_type, subject_id, detail) values ('x', 'x', 'x', 'x', '{}')"
            )
            taken.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(1 / JUMPERS)
    return sorted(taken)


async def first_bytes(house: StreamingHouse, paths: list[str]) -> bool:
    """50 listeners who jump about, and the same ones at nginx."""
    bare = [f"/bare/{number}.opus" for number in range(1, RECORDINGS + 1)]
    ours: list[float] = []
    theirs: list[float] = []
    for port, heard in ((house.port, paths), (house.nginx.port, bare)):  # they have been listening for a while
        await listened(port, heard, listeners=JUMPERS, seconds=8, stay_s=1)
    for _ in range(ROUNDS):
        ours += (await listened(house.port, paths, listeners=JUMPERS, seconds=8, stay_s=1))["first_byte_ms"]
        theirs += (await listened(house.nginx.port, bare, listeners=JUMPERS, seconds=8, stay_s=1))["first_byte_ms"]
    ours, theirs, commits = sorted(ours), sorted(theirs), await committed(house)
    owed = p99(theirs) + p99(commits)
    print(
        f"  p50 {ours[len(ours) // 2]:.1f} ms, nginx {theirs[len(theirs) // 2]:.1f}, committing a row alone {commits[len(commits) // 2]:.1f} (p99 {p99(commits):.1f}); "
        f"p99 {p99(ours) / owed:.1f} of nginx and a commit together"
    )
    ratio = p99(ours) / p99(theirs)
    held = ratio <= FIRST_BYTE_BOUND
    print(
        f"First byte, {JUMPERS} listeners, p99 of {len(ours)} | {p99(ours):.1f} ms | nginx {p99(theirs):.1f} ms (<= {FIRST_BYTE_BOUND}x) | {ratio:.2f} | "
        f"{'ok' if held else 'MISSED'}",
        flush=True,
    )
    return held


async def measure(folder: Path) -> int:
    """How many figures missed."""
    async with a_streaming_house(folder) as house:
        sound = os.urandom(SIZE)
        recordings = [await house.recording(number, sound, sealed=True) for number in range(1, RECORDINGS + 1)]
        paths = [await house.link(recording) for recording in recordings]
        held = [await first_bytes(house, paths), await all_heard(house, paths)]
    return held.count(False)


def main() -> int:
    """0 when every bound is held."""
    runs = Path(__file__).resolve().parents[2] / ".run" / "bench"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs) as folder:
        return int(uvloop.run(measure(Path(folder))) > 0)


if __name__ == "__main__":
    sys.exit(main())

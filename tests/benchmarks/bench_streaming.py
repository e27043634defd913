"""How fast recordings are streamed over HTTP, rights and a committed audit row for each range included, beside nginx on the same file in the same run.

1 MB ranges from random places of a recording that is being listened to, over 8 connections. Bounds: half of nginx; sealed recordings 0.9 of plain ones.
Shown are the same by a link, both as they are when nothing of what was heard is kept in our own memory (as the first time; only the system has the file
in its memory, as for nginx), and sent by nginx after our audit row (X-Accel-Redirect). All take turns; the median of the rounds' ratios counts, because
what else the machine does at a moment then meets both.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.benchmarks.streaming_house import TOKEN, a_streaming_house

SIZE, SPAN, CONNECTIONS, COUNT, ROUNDS = 64_000_000, 1_000_000, 8, 200, 7
NGINX_BOUND, SEALED_BOUND = 0.5, 0.9


async def measured(port: int, path: str) -> float:
    """MB/s of one round."""
    words = ["127.0.0.1", port, path, TOKEN, SIZE, SPAN, COUNT, CONNECTIONS]
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.range_client", *map(str, words), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    return float(out)


async def measure(folder: Path) -> int:
    """Print a line for each figure; how many missed."""
    async with a_streaming_house(folder) as house:
        sound = os.urandom(1_000_000) * (SIZE // 1_000_000)
        plain, sealed = [await house.recording(number, sound, sealed=number == 2) for number in (1, 2)]
        of = {
            "nginx": (house.nginx.port, "/bare/1.opus"),
            "plain": (house.port, f"/api/v1/recordings/{plain}/audio"),
            "sealed": (house.port, f"/api/v1/recordings/{sealed}/audio"),
            "by link": (house.port, await house.link(plain)),
            "plain anew": (house.anew_port, f"/api/v1/recordings/{plain}/audio"),
            "sealed anew": (house.anew_port, f"/api/v1/recordings/{sealed}/audio"),
            "by nginx": (house.nginx.port, f"/api/v1/recordings/{plain}/audio"),
        }
        for where in of.values():  # they have been listening for a while
            await measured(*where)
        rounds = [{name: await measured(*where) for name, where in of.items()} for _ in range(ROUNDS)]
    lines = [
        ("Streaming 1 MB ranges", "plain", "nginx", NGINX_BOUND),
        ("Streaming 1 MB ranges, sealed", "sealed", "plain", SEALED_BOUND),
        ("Streaming 1 MB ranges, by a link", "by link", "nginx", None),
        ("Streaming 1 MB ranges, read anew", "plain anew", "nginx", None),
        ("Streaming 1 MB ranges, sealed, opened anew", "sealed anew", "plain anew", None),
        ("Streaming 1 MB ranges, sent by nginx", "by nginx", "nginx", None),
    ]
    missed = 0
    for name, what, bound, wanted in lines:
        ratio = statistics.median(one[what] / one[bound] for one in rounds)
        held = wanted is None or ratio >= wanted
        missed += not held
        figures = {which: statistics.median(one[which] for one in rounds) for which in (what, bound)}
        said = f"{bound} {figures[bound]:.0f} MB/s ({'shown' if wanted is None else f'>= {wanted}'})"
        print(f"{name} | {figures[what]:.0f} MB/s | {said} | {ratio:.2f} | {'ok' if held else 'MISSED'}", flush=True)
    return missed


def main() -> int:
    """0 when every bound is held."""
    runs = Path(__file__).resolve().parents[2] / ".run" / "bench"
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs) as folder:
        return int(uvloop.run(measure(Path(folder))) > 0)


if __name__ == "__main__":
    sys.exit(main())

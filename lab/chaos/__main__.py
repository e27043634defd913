"""`python -m lab.chaos --kills 200 --seed 1`, which is `make chaos`."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import structlog
from rich.console import Console

from lab.errors import LabError
from lab.runner import enrol


def main() -> int:
    """Exit code: 0 every promise held, 1 a violation or a failure, 2 it runs already, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Kill everything under load; look whether the promises hold."
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--people", type=int, default=9000)
    parser.add_argument("--time-scale", type=float, default=0.2)
    parser.add_argument("--mode", choices=("progressive", "ratio"), default="ratio")
    parser.add_argument("--ratio", default="1.5")
    parser.add_argument("--only", choices=("engine", "asterisk", "postgres", "redis"), help="kill nothing else")
    parser.add_argument("--name", default="chaos", help="directory under .run")
    options = parser.parse_args()
    from lab.floor import run_directory

    # Our own looks into Asterisk break off with it; that is no news here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(highlight=False)
    run_dir = run_directory(options.name)
    descriptor = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        console.print("[red]chaos already runs in this checkout[/]: end it with Ctrl-C where it was started.")
        return 2
    enrol(run_dir)
    try:
        return asyncio.run(_chaos(options, run_dir, console))
    except LabError as error:
        console.print(f"[red]{error.error_id}[/] {error}", soft_wrap=True)
        return 1


async def _chaos(options: argparse.Namespace, run_dir: Path, console: Console) -> int:
    from lab.chaos.plan import Victim, plan
    from lab.chaos.run import Chaos, Options
    from lab.chaos.tally import closing_table, write_evidence
    from lab.floor import Floor

    task = asyncio.current_task()
    stopping = False

    def told() -> None:
        if not stopping and task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told)
    kills = plan(options.kills if not options.only else options.kills * 8, options.seed)
    if options.only:
        kills = [kill for kill in kills if kill.victim is Victim(options.only)][: options.kills]
    settings = Options(
        seed=options.seed,
        agents=options.agents,
        people=options.people,
        time_scale=options.time_scale,
        mode=options.mode,
        ratio=options.ratio,
    )
    floor = Floor(run_dir, time_scale=options.time_scale, name=options.name)
    chaos = Chaos(floor, settings, console)
    began = time.monotonic()
    console.print(f"chaos: {len(kills)} kills, seed {options.seed}")
    code = 1
    try:
        tally = await chaos.run(kills)
        title = f"chaos: {len(kills)} kills, seed {options.seed}"
        closing_table(console, tally, title=title, seconds=time.monotonic() - began)
        code = 1 if tally.violations else 0
        if tally.violations:
            path = run_dir / f"violations-{options.seed}.json"
            write_evidence(path, tally, asdict(settings), kills)
            console.print(
                f"evidence: {path}; logs in {run_dir}. The same again: python -m lab.chaos --kills {options.kills} --seed {options.seed}"
            )
    except asyncio.CancelledError:
        if task is not None:
            task.uncancel()
        code = 130
    finally:
        stopping = True
        await floor.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())

"""`python -m lab.demo`, which is `make demo`."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from lab.errors import LabError
from lab.runner import enrol


def main() -> int:
    """Exit code: 0 all well, 1 contradictions or a failure, 2 a wrong argument or a demo that runs already, 130 interrupted."""
    options = _arguments()
    console = Console(highlight=False)
    from lab.floor import run_directory

    run_dir = run_directory(options.name)
    lock = _lock(run_dir)
    if lock is None:
        console.print(
            f"[red]A demo already runs in this checkout[/] ({(run_dir / 'lock').read_text().strip()}). End it with Ctrl-C where it was started."
        )
        return 2
    try:
        return asyncio.run(_demo(options, run_dir, console))
    except LabError as error:
        console.print(f"[red]{error.error_id}[/] {error}", markup=True, soft_wrap=True)
        return 1


async def _demo(options: argparse.Namespace, run_dir: Path, console: Console) -> int:
    from lab.demo.run import Demo, ListTooLong, Options
    from lab.floor import Floor

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    interrupted = False
    stopping = False

    def told() -> None:
        nonlocal interrupted
        interrupted = True
        stop.set()
        if not stopping and task is not None:
            task.cancel()  # in the middle of the start: what has begun is stopped below

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    enrol(run_dir)
    floor = Floor(run_dir, time_scale=options.time_scale, name=options.name)
    (run_dir / "lock").write_text(f"process {os.getpid()}, API docs at {floor.url}/api/docs\n", encoding="utf-8")
    demo = Demo(
        floor,
        Options(
            once=options.once, minutes=options.minutes, mode=options.mode, ratio=options.ratio, agents=options.agents, people=options.people or (500 if options.once else 5000), seed=options.seed,
            time_scale=options.time_scale, talk_s=options.talk, wrap_s=options.wrap, json_path=run_dir.parent / f"{options.name}.json",
        ),
        console,
    )  # fmt: skip
    code = 1
    try:
        code = await demo.run(stop)
    except asyncio.CancelledError:
        if task is not None:
            task.uncancel()
    except ListTooLong as error:
        console.print(f"[red]{error}[/]")
    finally:
        stopping = True
        with console.status("stopping everything"):
            began = time.monotonic()
            await floor.stop()
        console.print(f"[dim]stopped in {time.monotonic() - began:.1f} s; logs in {run_dir}[/]")
    return (130 if options.once or options.minutes else 0) if interrupted else code


def _lock(run_dir: Path) -> int | None:
    """Held until this process ends, however it ends."""
    descriptor = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Real calls on a fake carrier.")
    parser.add_argument(
        "--once", action="store_true", help="dial the list to its end, compare the books, write .run/demo.json"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="dial for so long in place of the whole list, then compare the books as --once does",
    )
    parser.add_argument("--mode", choices=("progressive", "ratio", "predictive"), default="progressive")
    parser.add_argument("--ratio", default="1.5", help="calls for each ready agent, in mode ratio")
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument(
        "--people", type=int, default=0, help="length of the list; default 500 with --once, 5000 without"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--time-scale", type=float, default=0.15, help="how much shorter people ring and talk than in life"
    )
    parser.add_argument("--talk", type=float, default=4.0, help="mean seconds an agent talks")
    parser.add_argument("--wrap", type=float, default=1.0, help="mean seconds of wrap-up")
    parser.add_argument("--name", default="demo", help="directory under .run; another name lets a second one run")
    options = parser.parse_args()
    if options.agents < 1 or options.time_scale <= 0 or (options.minutes is not None and options.minutes <= 0):
        parser.error("--agents, --time-scale and --minutes must be positive")
    if options.once and options.minutes is not None:
        parser.error("--once dials the whole list: take it or --minutes")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""`make chaos-recorder`: the faults of recordings at their full counts, each figure beside its demand. Exit code 1 when a demand is not met.

python -m tests.recorder.chaos [--seed 1] [--share 0.01] [part ...]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from lab.runner import enrol
from tests.recorder.chaos.figures import Figure, Plan

PARTS = {
    "kills": "kill -9 of the intake at every step and at random",
    "outages": "PostgreSQL killed, disks full",
    "failing_disk": "I/O errors",
    "rotation": "kill -9 while volumes are planned, built and burned",
    "flips": "single bits flipped in store, volume, ledger and catalogue",
    "sectors": "two sectors in a hundred lost",
    "operations": "random operations on store and archive",
    "live_calls": "Asterisk killed with a hundred recorded calls",
}
"""Module → what it does."""

_RUNS = Path(__file__).resolve().parents[3] / ".run" / "chaos-recorder"


def main(words: Sequence[str]) -> int:
    """Run the parts one after the other."""
    parser = argparse.ArgumentParser(prog="make chaos-recorder", description="The faults of recordings, at full count.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the full counts: 0.01 is a look in a minute or two"
    )
    options = parser.parse_args(words)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part is called {' or '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    # What the recorder says to its operator while it is hurt is no news here.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in ("asyncio", "asyncpg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # connections that ended with a killed server
    enrol(_RUNS)
    console = Console(highlight=False)
    told: list[tuple[str, list[Figure], float]] = []
    for part in [part for part in PARTS if part in options.parts or not options.parts]:
        console.print(f"--- {part}: {PARTS[part]}")
        figures, seconds = _run(part, options.seed, options.share, console)
        told.append((part, figures, seconds))
    return _table(console, told, f"chaos-recorder, seed {options.seed}, share {options.share:g}")


def _run(part: str, seed: int, share: float, console: Console) -> tuple[list[Figure], float]:
    _RUNS.mkdir(parents=True, exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{part}-", dir=_RUNS))
    began = time.monotonic()

    def say(words: str) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {words}", soft_wrap=True, markup=False)

    plan = Plan(run_dir=run_dir, seed=seed, share=share, say=say)
    module = importlib.import_module(f"tests.recorder.chaos.{part}")
    try:
        figures: list[Figure] = asyncio.run(module.run(plan))
    except Exception as error:  # noqa: BLE001 - the other parts are run all the same
        console.print_exception()
        figures = [Figure(name=part, figure=f"failed: {error!r}"[:200], demand="an end", kept=False)]
    if all(figure.kept is not False for figure in figures) and not os.environ.get("WAIHU_KEEP"):
        shutil.rmtree(run_dir, ignore_errors=True)
    else:
        say(f"what is left of it: {run_dir}; the same again: --seed {seed} --share {share:g} {part}")
    for figure in figures:
        say(_words(figure))
    return figures, time.monotonic() - began


def _words(figure: Figure) -> str:
    return f"{figure.name}: {figure.figure}" + (f" (demanded: {figure.demand})" if figure.demand else "")


def _table(console: Console, told: list[tuple[str, list[Figure], float]], title: str) -> int:
    table = Table("part", "figure", "demand", "", title=title, title_style="bold")
    table.columns[1].justify = table.columns[2].justify = "right"
    verdicts = {True: "[green]kept[/]", False: "[red]BROKEN[/]", None: ""}
    for part, figures, seconds in told:
        table.add_section()
        table.add_row(f"[bold]{part}[/]", f"{seconds:.0f} s", "", "")
        for figure in figures:
            table.add_row(figure.name, figure.figure, figure.demand, verdicts[figure.kept])
    console.print(table)
    return int(any(figure.kept is False for _, figures, _ in told for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

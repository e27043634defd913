"""The tables of docs/pacing.md: policies beside each other at every pool size, and the predictive one on hard days.

    python -m tests.benchmarks.pacing_tables [--quick] [--agents 5,20] [--caps 0.03] [--seeds 6] [--workers 2] [--results FILE]

Too long for `make bench`; `make bench-pacing` runs it. Each row is judged by its targets: `ok`, or MISSED and what. The exit code is 1
when a row missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from dialer.simulation import Day, World, always
from dialer.simulation.cases import hard_days
from dialer.simulation.compare import play, tuned_dial_level

TOLERANCE = 0.5  # points: the noise of the study and of six seeds
# (agents, answer probability, cap): utilisation of the survival-based policy of the study that this one began with, in percent.
STUDY = {
    (5, 0.20, 0.03): 72.0,
    (5, 0.35, 0.03): 77.1,
    (10, 0.20, 0.03): 79.9,
    (10, 0.35, 0.03): 82.5,
    (20, 0.20, 0.03): 86.1,
    (20, 0.35, 0.03): 87.5,
    (50, 0.20, 0.03): 92.2,
    (50, 0.35, 0.03): 93.2,
    (200, 0.20, 0.03): 97.6,
    (200, 0.35, 0.03): 97.1,
    (5, 0.20, 0.01): 64.1,
    (20, 0.20, 0.01): 83.7,
    (50, 0.20, 0.01): 90.1,
    (200, 0.20, 0.01): 96.4,
}
AHEAD_OF_DEFAULTS = {0.20: 20.0, 0.35: 10.0}
AHEAD_OF_TUNED = 2.5
FROM_TRUTH, FROM_TRUTH_ON_HARD_DAYS = 1.5, 4.0
WINDOW_CAPS, WINDOW_AGENTS = 2.5, 20
COLUMNS = ("1:1", "2:1", "3:1", "dial level", "tuned", "predictive", "predictive, cancels", "truth known")
SHORT_FROM_AGENTS, SHORT_H = 200, 4.0
FIRST_SEED = 1_000  # days that nothing was tuned on

Map = Callable[[Callable[[int], Day], Iterable[int]], Iterable[Day]]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The days of one policy in one world, in percent."""

    utilisation: float
    abandoned: float
    worst: float
    worst_window: float
    over: int  # days over the cap

    @classmethod
    def of(cls, days: list[Day], cap: float) -> Cell:
        return cls(
            utilisation=round(100 * fmean(day.utilisation for day in days), 2),
            abandoned=round(100 * fmean(day.abandoned_share for day in days), 3),
            worst=round(100 * max(day.abandoned_share for day in days), 3),
            worst_window=round(100 * max(day.worst_window() for day in days), 1),
            over=sum(day.abandoned > cap * day.answered for day in days),
        )

    def __str__(self) -> str:
        return f"{self.utilisation:5.1f} /{self.abandoned:5.2f}"


def cells(world: World, names: Iterable[str], seeds: range, run: Map) -> dict[str, Cell]:
    tuned = tuned_dial_level(replace(world, hours=4.0), [100]) if "tuned" in names else None
    found = {}
    for name in names:
        # The bound is a mean that is compared, not a promise: half of the days are enough.
        some = seeds[: math.ceil(len(seeds) / 2)] if name == "truth known" else seeds
        found[name] = Cell.of(list(run(partial(_day, name, world, tuned), some)), world.cap)
    return found


def _day(name: str, world: World, tuned: Any, seed: int) -> Day:
    return play(name, world, seed, tuned)


def verdict(agents: int, answer: float, cap: float, found: dict[str, Cell]) -> list[str]:
    """What was missed, and by how many points."""
    ours = found["predictive"]
    study = STUDY.get((agents, answer, cap))
    wanted = [
        ("study", ours.utilisation, None if study is None else study - TOLERANCE),
        ("study, cancels", _utilisation(found, "predictive, cancels"), None if study is None else study - TOLERANCE),
        ("defaults", ours.utilisation, _plus(found, "dial level", AHEAD_OF_DEFAULTS[answer] - TOLERANCE)),
        ("tuned", ours.utilisation, _plus(found, "tuned", AHEAD_OF_TUNED - TOLERANCE)),
        ("truth", ours.utilisation, _plus(found, "truth known", -FROM_TRUTH - TOLERANCE)),
    ]
    missed = [
        f"{name} by {bar - got:.1f}"
        for name, got, bar in wanted
        if got is not None and bar is not None and round(got, 1) < round(bar, 1)
    ]
    return missed + [
        f"over the cap on {found[name].over} days ({name})"
        for name in found
        if name.startswith("pred") and found[name].over
    ]


def hard_verdict(world: World, found: dict[str, Cell]) -> list[str]:
    """The same for a hard day."""
    ours, told = found["predictive"], found["truth known"]
    missed = [f"over the cap on {ours.over} days"] if ours.over else []
    if world.agents >= WINDOW_AGENTS and ours.worst_window > 100 * WINDOW_CAPS * world.cap:
        missed.append(f"a window of {ours.worst_window:.1f} %")
    behind = told.utilisation - FROM_TRUTH_ON_HARD_DAYS - ours.utilisation
    return missed + ([f"truth by {behind:.1f}"] if behind > 0 else [])


def _utilisation(found: dict[str, Cell], name: str) -> float | None:
    return found[name].utilisation if name in found else None


def _plus(found: dict[str, Cell], name: str, points: float) -> float | None:
    return found[name].utilisation + points if name in found else None


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench-pacing", description="The tables of docs/pacing.md")
    parser.add_argument("--agents", default="5,10,20,50,200", help="pool sizes")
    parser.add_argument("--answers", default="0.20,0.35", help="answer probabilities")
    parser.add_argument("--caps", default="0.03,0.01", help="abandonment caps")
    parser.add_argument("--columns", default="|".join(COLUMNS), help="policies, with | between them")
    parser.add_argument("--only", choices=["pools", "hard"], help="one of the two tables")
    parser.add_argument("--hard", default="20", help="pool sizes of the hard days")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, help="write the figures here too, as JSON")
    parser.add_argument("--quick", action="store_true", help="pools of 5 and 20, 2 seeds: four minutes")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.agents, asked.seeds = "5,20", 2
    rows: list[Row] = []
    with ProcessPoolExecutor(asked.workers) as pool:
        run: Map = map if asked.workers == 1 else pool.map
        for row in tables(asked, run):
            rows.append(row)
            if asked.results:
                asked.results.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(any(row["missed"] for row in rows))


def tables(asked: argparse.Namespace, run: Map) -> Iterable[Row]:
    """Row by row, printed as they come."""
    seeds, columns = range(FIRST_SEED, FIRST_SEED + asked.seeds), asked.columns.split("|")
    if asked.only != "hard":
        print(
            f"Utilisation % / abandoned %, {asked.seeds} days each\n{'agents, answers, cap':38}"
            + "".join(f"{name:>20}" for name in columns)
        )
        for cap in map(float, asked.caps.split(",")):
            for agents in map(int, asked.agents.split(",")):
                for answer in map(float, asked.answers.split(",")):
                    hours = SHORT_H if agents >= SHORT_FROM_AGENTS else 8.0
                    found = cells(
                        World(agents=agents, answer=always(answer), cap=cap, hours=hours), columns, seeds, run
                    )
                    yield _row(f"{agents}, {answer:.2f}, {100 * cap:.0f} %", found, verdict(agents, answer, cap, found))
    if asked.only != "pools":
        for agents in map(int, asked.hard.split(",")):
            print(f"\nHard days, {agents} agents: utilisation % / abandoned %; worst day; worst 15 min")
            for case, world in hard_days(agents).items():
                found = cells(world, ("predictive", "truth known"), seeds, run)
                yield _row(f"{agents}: {case}", found, hard_verdict(world, found))


def _row(case: str, found: dict[str, Cell], missed: list[str]) -> Row:
    ours = found["predictive"]
    print(
        f"{case:38}" + "".join(f"{cell!s:>20}" for cell in found.values()),
        f"  worst {ours.worst:.2f}  window {ours.worst_window:.1f}  ",
        "ok" if not missed else "MISSED " + ", ".join(missed),
        flush=True,
    )
    figures = {name: asdict(cell) for name, cell in found.items()}
    return {"case": case, "missed": missed, "figures": figures}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

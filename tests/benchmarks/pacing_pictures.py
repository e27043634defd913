"""The pictures and the Markdown tables of docs/pacing.md, from the results of `pacing_tables`.

python -m tests.benchmarks.pacing_pictures RESULTS.json ... FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from dialer.simulation.pictures import against_abandonment, bars
from tests.benchmarks.pacing_tables import COLUMNS, STUDY

Row = dict[str, Any]


def pools(rows: list[Row]) -> list[str]:
    """A table of utilisation / abandoned for each pool, and how our worst day was."""
    names = [name for name in COLUMNS if any(name in row["figures"] for row in rows)]
    lines = [
        "| agents, answers, cap | " + " | ".join(names) + " | study | worst day | targets |",
        "|---" * (len(names) + 4) + "|",
    ]
    for row in rows:
        cells = [_cell(row["figures"].get(name)) for name in names]
        verdict = "ok" if not row["missed"] else "missed: " + ", ".join(row["missed"])
        agents, answer, cap = row["case"].removesuffix(" %").split(", ")
        study = STUDY.get((int(agents), float(answer), float(cap) / 100), "")
        worst = f"{row['figures']['predictive']['worst']:.2f}"
        lines.append(f"| {row['case']} | " + " | ".join(cells) + f" | {study} | {worst} | {verdict} |")
    return lines


def hard(rows: list[Row]) -> list[str]:
    """A table of the hard days."""
    lines = ["| day | predictive | truth known | worst day | worst 15 min | targets |", "|---|---|---|---|---|---|"]
    for row in rows:
        ours, told = row["figures"]["predictive"], row["figures"]["truth known"]
        verdict = "ok" if not row["missed"] else "missed: " + ", ".join(row["missed"])
        day = row["case"].partition(": ")[2]
        lines.append(
            f"| {day} | {_cell(ours)} | {_cell(told)} | {ours['worst']:.2f} | {ours['worst_window']:.1f} | {verdict} |"
        )
    return lines


def _cell(figures: dict[str, float] | None) -> str:
    return "" if figures is None else f"{figures['utilisation']:.1f} / {figures['abandoned']:.2f}"


def main(arguments: list[str]) -> int:
    *sources, folder = map(Path, arguments)
    rows: list[Row] = [row for source in sources for row in json.loads(source.read_text(encoding="utf-8"))]
    of_pools = [row for row in rows if "%" in row["case"].rpartition(", ")[2] and ": " not in row["case"]]
    of_hard = [row for row in rows if ": " in row["case"]]
    curve = {
        name: [
            (row["figures"][name]["abandoned"], row["figures"][name]["utilisation"])
            for row in of_pools
            if row["case"].endswith("0.20, 3 %") and name in row["figures"]
        ]
        for name in COLUMNS
    }
    title = "Pools of 5, 10, 20, 50 and 200 agents, 0.20 answered, cap 3 %"
    (folder / "pacing-budget.svg").write_text(against_abandonment(title, curve, 0.03), encoding="utf-8")
    days = {
        row["case"].partition(": ")[2]: {name: cell["utilisation"] for name, cell in row["figures"].items()}
        for row in of_hard
    }
    picture = bars("Hard days, 20 agents: utilisation, %", days)
    (folder / "pacing-hard-days.svg").write_text(picture, encoding="utf-8")
    print("\n".join([*pools(of_pools), "", *hard(of_hard)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a run has seen, and how it is told at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from lab.chaos.invariants import Violation
from lab.chaos.machine import Reference
from lab.chaos.plan import Kill, Moment, Victim


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """How long it took until the engine worked again; `reference`: what the machine needed for a start at that moment, where measured."""

    seconds: float
    reference: Reference | None = None

    def __str__(self) -> str:
        slow = self.reference.slowness if self.reference is not None else 1.0
        return f"{self.seconds:.1f} s" + (f" (machine {slow:.1f} times slower than alone)" if slow > 1 else "")


@dataclass(slots=True, kw_only=True)
class Tally:
    """What is printed at the end. `steps`: the calls that were at that step when something was killed."""

    kills: Counter[tuple[Victim, Moment]] = field(default_factory=Counter)
    missed: Counter[Moment] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    backs: dict[Victim, list[Back]] = field(default_factory=lambda: defaultdict(list))
    survived: int = 0
    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)


def closing_table(console: Console, tally: Tally, *, title: str, seconds: float) -> None:
    """What people read: kills by component and step, how the engine came back, what became of the calls."""
    console.print(_kills(tally, title))
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for victim, backs in tally.backs.items():
        mean = sum(back.seconds for back in backs) / len(backs)
        worst = max(backs, key=lambda back: back.seconds)
        table.add_row(f"engine at work after {victim}", f"mean {mean:.1f} s, worst {worst}")
    table.add_section()
    for step, count in sorted(tally.steps.items()):
        table.add_row(f"calls {step} at a kill", str(count))
    table.add_row("conversations that went on over a kill", str(tally.survived))
    table.add_section()
    for name, figure in tally.figures.items():
        table.add_row(name, str(figure))
    table.add_section()
    kills = sum(tally.kills.values())
    table.add_row("seconds", f"{seconds:.0f} ({seconds / max(kills, 1):.1f} a kill)")
    table.add_row("violations", f"[{'red' if tally.violations else 'green'}]{len(tally.violations)}[/]")
    console.print(table)


def _kills(tally: Tally, title: str) -> Table:
    table = Table(title=title, title_style="bold", show_footer=True)
    table.add_column("killed at", footer="all")
    for victim in Victim:
        total = sum(count for (one, _), count in tally.kills.items() if one is victim)
        table.add_column(victim.value, justify="right", footer=str(total))
    table.add_column("all", justify="right", footer=str(sum(tally.kills.values())))
    table.add_column("did not come in time", justify="right", footer=str(sum(tally.missed.values())))
    for moment in Moment:
        counts = [tally.kills[victim, moment] for victim in Victim]
        table.add_row(moment.value, *map(str, counts), str(sum(counts)), str(tally.missed[moment]))
    return table


def write_evidence(path: Path, tally: Tally, options: Mapping[str, Any], kills: list[Kill]) -> None:
    """Everything a person needs to look into a violation."""
    content = {
        "options": options,
        "kills": [asdict(kill) for kill in kills],
        "violations": [asdict(one) for one in tally.violations],
        "figures": tally.figures,
        "backs": {victim.value: [asdict(back) for back in backs] for victim, backs in tally.backs.items()},
    }
    path.write_bytes(orjson.dumps(content, default=str, option=orjson.OPT_INDENT_2))

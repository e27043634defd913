"""The diagrams of docs/states.md, drawn from the tables (Mermaid, and the lists beside it)."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TypeVar

from dialer.domain.agent_table import AGENT_TABLE
from dialer.domain.call_table import CALL_TABLE
from dialer.domain.machine import Kind, Table
from dialer.domain.pause_table import PAUSE_TABLE

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

_OPENING = """# States

Drawn from `call_table.py`, `agent_table.py` and `pause_table.py` in `dialer/domain/` by `python -m dialer.domain.diagrams`; a test keeps
them equal. A *straggler* is late, doubled or reordered news that changes nothing and is counted; an *illegal* pair is a defect,
logged with its call and refused. The words of the states are those of the database.
"""


def page() -> str:
    """The whole of docs/states.md."""
    sections = [
        *("## A call", "", *_section(CALL_TABLE), ""),
        *("## An agent", "", *_section(AGENT_TABLE), ""),
        *("## The recording of a call", "", *_section(PAUSE_TABLE), ""),
    ]
    return "\n".join([_OPENING, *sections])


def _section(table: Table[S, E]) -> list[str]:
    arrows: dict[tuple[S, S], list[str]] = defaultdict(list)
    for (state, event), target in table.moves.items():
        arrows[state, target].append(event.value)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [
        f"    {state.value} --> {target.value}: {', '.join(sorted(arrows[state, target]))}"
        for state in table.states
        for target in table.states
        if (state, target) in arrows
    ]
    lines += ["```", "", "| state | stragglers | illegal |", "|---|---|---|"]
    for state in table.states:
        of_kind = {
            kind: ", ".join(event.value for event in table.events if table.step(state, event).kind is kind)
            for kind in (Kind.STRAGGLER, Kind.ILLEGAL)
        }
        lines.append(f"| {state.value} | {of_kind[Kind.STRAGGLER]} | {of_kind[Kind.ILLEGAL]} |")
    return lines


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())

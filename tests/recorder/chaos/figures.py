"""What a part of the run is told, and what it gives back: figures beside what is demanded of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Say = Callable[[str], None]
"""Tells the person who waits how far it is."""

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure beside its demand. `kept` None: it is only shown."""

    name: str
    figure: str
    demand: str = ""
    kept: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a part may write, what its randomness comes from, and which share of the full counts it takes."""

    run_dir: Path
    seed: int
    share: float
    say: Say

    def count(self, full: int, *, least: int = 1) -> int:
        """The share of a full count."""
        return max(least, round(full * self.share))

    def chance(self, *what: object) -> random.Random:
        """Randomness for one thing; the same for the same seed."""
        return random.Random(f"{self.seed} {what}")

    def folder(self, name: str) -> Path:
        """A new directory."""
        path = self.run_dir / name
        path.mkdir(parents=True)
        return path

    def told(self, problems: list[str]) -> bool:
        """Show what is wrong; whether there is nothing."""
        for problem in problems[:MOST_SHOWN]:
            self.say(f"BROKEN: {problem}")
        if len(problems) > MOST_SHOWN:
            self.say(f"BROKEN: and {len(problems) - MOST_SHOWN} more")
        return not problems


def none_of(name: str, problems: list[str], plan: Plan) -> Figure:
    """A figure that has to be 0."""
    return Figure(name=name, figure=str(len(problems)), demand="0", kept=plan.told(problems))

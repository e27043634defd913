"""What became of flipped bits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.recorder.chaos.figures import Plan

CLEAN_EVERY = 10
"""Flips, after which what is clean is looked at."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the flips of one place."""

    flips: Counter[str] = field(default_factory=Counter)  # by region
    clean: int = 0
    missed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def judge(self, region: str, where: str, found: set[str], wanted: str | None) -> None:
        """`found`: what was named; `wanted`: the call (or file) the bit is in, None: of no call, and then any word will do."""
        self.flips[region] += 1
        if not found:
            self.missed.append(f"{region}, {where}")
        elif wanted is not None and wanted not in found:
            self.unnamed.append(f"{region}, {where}: {wanted} is not among {sorted(found)[:5]}")

    def is_clean(self, found: set[str], where: str) -> None:
        """Nothing was changed, so nothing may be found."""
        self.clean += 1
        if found:
            self.false.append(f"{where}: {sorted(found)[:5]}")


def flip(path: Path, place: int, bit: int) -> None:
    """Flip a bit; the same again takes it back."""
    with path.open("r+b", buffering=0) as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


def tell(plan: Plan, what: str, number: int, count: int) -> None:
    """How far it is."""
    if number and number % max(1, count // 5) == 0:
        plan.say(f"{what}: {number} of {count} flips")

"""When packs in use come to their end: a pack's last day, or the last year its calendar of holidays covers. From that day on nothing is dialled under them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from campaigns.rules.calendar import OF_CALENDAR
from campaigns.rules.ruleset import Rule, RuleSet
from campaigns.rules.schema import Window

NOTICE: Final = timedelta(days=60)
"""How long before it is said: holidays of the next year are published some eight weeks before it begins."""


class Ends(StrEnum):
    """What comes to its end."""

    PACK = "pack"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ending:
    """`pack` is `pack@version`; `day` is the first on which nothing is dialled."""

    day: date
    pack: str
    what: Ends

    @property
    def reason(self) -> str:
        """In a sentence."""
        match self.what:
            case Ends.PACK:
                return f"The rule pack {self.pack} runs out on {self.day}."
            case Ends.CALENDAR:
                return f"The calendar of {self.pack} says nothing of holidays from {self.day} on."


def endings(rules: RuleSet, today: date) -> list[Ending]:
    """What ends within the notice, or has ended, the first first."""
    found = {
        Ending(day=until, pack=f"{pack}@{version}", what=Ends.PACK)
        for pack, version, _, until in rules.packs
        if until is not None
    }
    return sorted(one for one in found | set(_calendars(rules, today)) if one.day <= today + NOTICE)


def _calendars(rules: RuleSet, today: date) -> Iterator[Ending]:
    for rule in rules.rules:
        line = rule.line
        if isinstance(line, Window) and OF_CALENDAR & set(line.days):
            day = _first_unknown(rule, today)
            if line.effective_until is None or day < line.effective_until:
                yield Ending(day=day, pack=f"{rule.pack}@{rule.version}", what=Ends.CALENDAR)


def _first_unknown(rule: Rule, today: date) -> date:
    year = today.year
    while year in rule.calendar.sources:
        year += 1
    return today if year == today.year else date(year, 1, 1)

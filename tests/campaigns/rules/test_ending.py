"""Promises about the end of packs: it is said sixty days before, for packs and for calendars that a window asks, and for nothing else."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from campaigns.rules.ending import Ends, endings
from campaigns.rules.loading import read_pack, shipped
from campaigns.rules.ruleset import NO_RULES, combine
from tests.campaigns.rules.packs import a_line, a_pack, a_window

YEARS: dict[str, Any] = {"calendar": ({"year": 2026, "source": "x"}, {"year": 2027, "source": "x"})}


def of(*lines: Any, at: date, **head: Any) -> list[tuple[date, str, Ends]]:
    return [(one.day, one.pack, one.what) for one in endings(combine([a_pack(*lines, **head)]), at)]


@pytest.mark.parametrize(
    ("at", "said"),
    [(date(2026, 11, 1), False), (date(2026, 11, 2), True), (date(2026, 12, 31), True), (date(2027, 1, 1), True)],
)
def test_the_chinese_calendar_is_said_to_end_sixty_days_before_its_last_year_is_over(at: date, said: bool) -> None:
    rules = combine([read_pack(shipped()["cn-general", "2026.1"])])
    found = endings(rules, at)
    assert [(one.pack, one.what) for one in found] == ([("cn-general@2026.1", Ends.CALENDAR)] if said else [])
    assert not said or found[0].day == date(2027, 1, 1)
    assert not said or "2027-01-01" in found[0].reason


def test_the_day_is_the_first_that_the_calendar_does_not_know_however_many_years_it_has() -> None:
    line = a_window("09:00-20:00", days=("workday",))
    assert of(line, at=date(2026, 12, 1), **YEARS) == []
    assert of(line, at=date(2027, 12, 1), **YEARS) == [(date(2028, 1, 1), "test@1", Ends.CALENDAR)]
    assert of(line, at=date(2030, 5, 1), **YEARS) == [(date(2030, 5, 1), "test@1", Ends.CALENDAR)]


def test_a_calendar_that_no_line_asks_then_is_not_missed() -> None:
    weekdays, gone = (
        a_window("09:00-20:00"),
        a_window("09:00-20:00", days=("holiday",), effective_until=date(2027, 6, 1)),
    )
    assert of(weekdays, at=date(2027, 12, 1), **YEARS) == []
    assert of(gone, at=date(2027, 12, 1), **YEARS) == []
    assert endings(NO_RULES, date(2027, 12, 1)) == []


def test_a_pack_with_a_last_day_is_named_before_it() -> None:
    line, until = a_line("attempts", most=3), date(2027, 3, 1)
    assert of(line, at=date(2026, 12, 30), effective_until=until) == []
    assert of(line, at=date(2026, 12, 31), effective_until=until) == [(until, "test@1", Ends.PACK)]

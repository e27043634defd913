"""Calendars of working days: statutory holidays, and working days made up for them (调休)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Day(StrEnum):
    """A day of the week, or a kind of day that only a calendar can tell."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"
    WORKDAY = "workday"  # worked: Monday to Friday but no holiday, or a made-up working day
    RESTDAY = "restday"  # not worked: a weekend that is not made up for, or a holiday
    HOLIDAY = "holiday"  # named by the calendar as a holiday


WEEKDAYS = tuple(list(Day)[:7])
OF_CALENDAR = frozenset({Day.WORKDAY, Day.RESTDAY, Day.HOLIDAY})
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Which days of which years are holidays or made-up working days. `sources`: year → who published it; a year without one is not known."""

    sources: Mapping[int, str]
    holidays: frozenset[date]
    workdays: frozenset[date]

    def kinds_of(self, day: date) -> frozenset[Day] | None:
        """The calendar's kinds of a day; None when nothing was published for its year."""
        if day.year not in self.sources:
            return None
        if day in self.holidays:
            return _HOLIDAY
        worked = day in self.workdays or day.weekday() < _SATURDAY
        return _WORKDAY if worked else _RESTDAY


_HOLIDAY = frozenset({Day.HOLIDAY, Day.RESTDAY})
_WORKDAY = frozenset({Day.WORKDAY})
_RESTDAY = frozenset({Day.RESTDAY})

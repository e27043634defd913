"""Windows of the local day: is one open at a moment, and when does it open next? Exact through every change of the clocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from campaigns.rules.calendar import OF_CALENDAR, WEEKDAYS, Calendar
from campaigns.rules.schema import Span, Window

HORIZON = timedelta(days=400)
"""How far ahead an opening is looked for."""


class CalendarMissing(LookupError):
    """The calendar says nothing about this year."""


def spans_of(window: Window, calendar: Calendar, day: date) -> tuple[Span, ...] | None:
    """The spans a window allows on a day; None when it does not speak of that day. Errors: CalendarMissing."""
    days = window.days
    if WEEKDAYS[day.weekday()] in days:
        return window.open
    if OF_CALENDAR.isdisjoint(days):
        return None
    kinds = calendar.kinds_of(day)
    if kinds is None:
        raise CalendarMissing(day.year)
    return None if kinds.isdisjoint(days) else window.open


def is_open(window: Window, calendar: Calendar, local: datetime) -> bool:
    """Whether calls may be placed at this local time. Errors: CalendarMissing."""
    spans = spans_of(window, calendar, local.date())
    if spans is None:
        return True
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in spans)


def next_opening(rules: Iterable[tuple[Window, Calendar]], zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first moment after `now` (UTC) at which all these windows are open; None within the horizon. Errors: CalendarMissing."""
    rules = list(rules)
    day = now.astimezone(zone).date()
    for ahead in range(HORIZON.days):
        for moment in _beginnings(rules, zone, day + timedelta(days=ahead)):
            local = moment.astimezone(zone)
            if moment > now and all(is_open(window, calendar, local) for window, calendar in rules):
                return moment
    return None


def _beginnings(rules: list[tuple[Window, Calendar]], zone: ZoneInfo, day: date) -> list[datetime]:
    """The moments of a local day at which something can open: midnight, the beginning of a span (both, if it comes twice), a change of the clocks."""
    minutes = {0}
    for window, calendar in rules:
        minutes.update(start for start, _ in spans_of(window, calendar, day) or ())
    moments = {
        datetime.combine(day, time(minute // 60, minute % 60), zone).replace(fold=fold).astimezone(UTC)
        for minute in minutes
        for fold in (0, 1)
    }
    moments.update(_changes(zone, day))
    return sorted(moments)


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, day: date) -> tuple[datetime, ...]:
    """When the clocks change on a local day, to the second."""
    return tuple(_search(zone, datetime.combine(day, time(), UTC) - timedelta(hours=14)))


def _search(zone: ZoneInfo, first: datetime) -> Iterator[datetime]:
    for hours in range(0, 52, 4):
        low, high = first + timedelta(hours=hours), first + timedelta(hours=hours + 4)
        before = low.astimezone(zone).utcoffset()
        if before == high.astimezone(zone).utcoffset():
            continue
        while high - low > timedelta(seconds=1):
            middle = (low + (high - low) / 2).replace(microsecond=0)
            if middle.astimezone(zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        yield high

"""From when to when a contract counts: days of a zone with its clock changes, or the last 24 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from dialer.domain.pacing.contract import Period

QUARTER: Final = timedelta(minutes=15)
"""Calls are kept by the quarter of an hour they ended in. The midnights of every zone lie on one."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAYS = 30


@dataclass(frozen=True, slots=True)
class Span:
    """A period of time in UTC: from `since` on, before `until`. None: it moves along with the present, nothing ends."""

    since: datetime
    until: datetime | None


def span_of(period: Period, now: datetime, zone: tzinfo, began: datetime) -> Span:
    """The period that `now` lies in. `began`: when the project did; its first 30 days begin with that day."""
    today = now.astimezone(zone).date()
    match period:
        case Period.DAY:
            return Span(_midnight(today, zone), _midnight(today + timedelta(days=1), zone))
        case Period.HOURS_24:
            return Span(quarter_of(now - timedelta(hours=24)), None)
        case Period.DAYS_30:
            first = began.astimezone(zone).date()
            first += timedelta(days=(today - first).days // _DAYS * _DAYS)
            return Span(_midnight(first, zone), _midnight(first + timedelta(days=_DAYS), zone))


def quarter_of(moment: datetime) -> datetime:
    """The quarter of an hour it lies in, by its beginning."""
    return _EPOCH + (moment - _EPOCH) // QUARTER * QUARTER


def _midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins in a zone. Where clocks skip midnight it is the moment of the change, where they repeat it the first of the two."""
    return datetime.combine(day, time(), zone).astimezone(UTC)

"""What each line of a pack says of a number at a moment. Pure, and shut when in doubt.

A line passes (None), or refuses with a reason and, where time alone will change its mind, the moment at which it may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from campaigns.rules.calendar import Calendar
from campaigns.rules.facts import PastCall, Subject
from campaigns.rules.schema import (
    Abandonment,
    AnyLine,
    Attempts,
    Blind,
    Consent,
    Counts,
    Frequency,
    Reach,
    Registry,
    RingTime,
    Window,
)
from campaigns.rules.windows import CalendarMissing, is_open, next_opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a line forbids the call. `evaluable` is False when it could not be evaluated; `until`: when it may think otherwise."""

    reason: str
    until: datetime | None = None
    evaluable: bool = True


def judge(line: AnyLine, calendar: Calendar, subject: Subject) -> Refusal | None:
    """What one line says; None: it passes. Whatever goes wrong is a refusal."""
    try:
        return _JUDGES[type(line)](line, calendar, subject)
    except CalendarMissing as error:
        return _unknown(f"The calendar of working days says nothing about {error}.")
    except Exception as error:  # noqa: BLE001 -- whatever is wrong with a fact: the number is not dialled
        return _unknown(f"The rule cannot be evaluated ({type(error).__name__}).")


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """A zone by its name. Errors: those of ZoneInfo."""
    return ZoneInfo(name)


def zones_for(window: Window, subject: Subject) -> tuple[str, ...]:
    """The zones in which a window must be open: the callee's, or what the line says when that is not known; none: it cannot be told."""
    if subject.zone is not None:
        return (subject.zone,)
    match window.unknown_zone:
        case "refuse":
            return ()
        case "project":
            return (subject.project_zone,)
        case zones:
            return zones


def _window(line: Window, calendar: Calendar, subject: Subject) -> Refusal | None:
    zones = zones_for(line, subject)
    if not zones:
        return _unknown("The time zone of the number is not known.")
    shut = [name for name in zones if not is_open(line, calendar, subject.now.astimezone(zone_of(name)))]
    if not shut:
        return None
    local = subject.now.astimezone(zone_of(shut[0]))
    openings = [next_opening([(line, calendar)], zone_of(name), subject.now.astimezone(UTC)) for name in shut]
    until = None if None in openings else max(moment for moment in openings if moment is not None)
    hours = ", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in line.open) or "never"
    return Refusal(reason=f"It is {local:%a %H:%M} in {shut[0]}; calls are placed {hours}.", until=until)


def _frequency(line: Frequency, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if not subject.past:
        return None
    since = subject.now - line.period
    times = sorted(at for call in subject.past if _of(line, call, subject) and (at := _counted(line, call)) is not None)
    recent = [at for at in times if at > since]
    if len(recent) < line.most:
        return None
    return Refusal(
        reason=f"{len(recent)} {line.counts} in the last {spoken(line.period)}, {line.most} at most.",
        until=recent[-line.most] + line.period,
    )


def _of(line: Frequency, call: PastCall, subject: Subject) -> bool:
    match line.of:
        case Reach.EVERYBODY:
            return True
        case Reach.CLIENT:
            return call.client == subject.client or call.project_id == subject.project_id
        case Reach.PROJECT:
            return call.project_id == subject.project_id


def _counted(line: Frequency, call: PastCall) -> datetime | None:
    match line.counts:
        case Counts.ATTEMPTS:
            return call.at
        case Counts.ANSWERED:
            return call.answered_at
        case Counts.ABANDONED:
            return call.abandoned_at


def _attempts(line: Attempts, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if subject.attempts < line.most:
        return None
    return Refusal(reason=f"The lead was called {subject.attempts} times, {line.most} at most.")


def _registry(line: Registry, _calendar: Calendar, subject: Subject) -> Refusal | None:
    loaded = subject.lists.get(line.category)
    if loaded is None:
        return _unknown(f"The list {line.category} was never loaded.")
    if subject.now - loaded > line.max_age:
        return _unknown(f"The list {line.category} is older than {spoken(line.max_age)}: load it again.")
    return None


def _consent(line: Consent, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if line.scope in subject.consents:
        return None
    return Refusal(reason=f"There is no consent for {line.scope} that holds now.")


def _blind(line: Blind, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if line.prefixes and subject.number.startswith(line.prefixes):
        return Refusal(reason="The number begins with a prefix that is not called.")
    if line.regions:
        if subject.region is None:
            return _unknown("The region of the number is not known.")
        if subject.region in line.regions:
            return Refusal(reason=f"The region {subject.region} is not called.")
    return None


def _ring_time(line: RingTime, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if line.least_s <= subject.ring_s <= line.most_s:
        return None
    return Refusal(
        reason=f"The project lets calls ring {subject.ring_s} s; the rule asks for {line.least_s} to {line.most_s} s."
    )


def _abandonment(line: Abandonment, _calendar: Calendar, subject: Subject) -> Refusal | None:
    if subject.abandoned <= line.limit * subject.answered:
        return None
    return Refusal(
        reason=f"{subject.abandoned} of {subject.answered} answered calls were abandoned; at most {line.limit:%} in {line.period}."
    )


_JUDGES: Final[dict[type, Callable[[Any, Calendar, Subject], Refusal | None]]] = {
    Window: _window,
    Frequency: _frequency,
    Attempts: _attempts,
    Registry: _registry,
    Consent: _consent,
    Blind: _blind,
    RingTime: _ring_time,
    Abandonment: _abandonment,
}


def _unknown(reason: str) -> Refusal:
    return Refusal(reason=reason, evaluable=False)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def spoken(period: timedelta) -> str:
    """A period in its largest whole unit."""
    seconds = int(period.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"

"""The time, as the engine sees it. Everything below takes a clock; only the system clock asks the machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

BELIEVED: Final = timedelta(minutes=1)
"""How old news may be that Asterisk dates itself."""


class Clock(Protocol):
    """Wall time for what is written down, monotonic time for how long something takes."""

    def now(self) -> datetime:
        """Aware UTC; may be stepped by an operator."""
        ...

    def monotonic(self) -> float:
        """Seconds; never steps."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall time."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock that is passed in everywhere else

    def monotonic(self) -> float:
        """Seconds since some start."""
        return time.monotonic()


def dated(clock: Clock, epoch_s: str) -> datetime:
    """When something happened that Asterisk dates (seconds since 1970): news may come late, when the machine is held up or an engine has just started.

    Now where there is no such date, or none of the last minute by our clock: two machines' clocks differ, and clocks are stepped.
    """
    now = clock.now()
    try:
        at = datetime.fromtimestamp(float(epoch_s), UTC)
    except (ValueError, OverflowError, OSError):
        return now
    return at if now - BELIEVED <= at <= now else now

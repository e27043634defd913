"""The time, as the engine sees it. Everything below takes a clock; only the system clock asks the machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


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

"""What a check found: how bad, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from dialer.settings import Settings


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"  # works, but not as it should
    FAULT = "fault"  # calls cannot be made, or something will be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report. `do` is empty exactly when all is well."""

    subject: str
    level: Level
    seen: str
    do: str = ""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) == bool(self.do):
            raise ValueError(f"{self.subject}: a finding says what to do if, and only if, something is wrong")


Check = Callable[[Settings], Awaitable[list[Finding]]]


def ok(subject: str, seen: str) -> Finding:
    """All is well."""
    return Finding(subject=subject, level=Level.OK, seen=seen)


def warning(subject: str, seen: str, do: str) -> Finding:
    """Works, but not as it should."""
    return Finding(subject=subject, level=Level.WARNING, seen=seen, do=do)


def fault(subject: str, seen: str, do: str) -> Finding:
    """Calls cannot be made, or something will be lost."""
    return Finding(subject=subject, level=Level.FAULT, seen=seen, do=do)

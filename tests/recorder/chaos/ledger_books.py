"""Books kept by hand beside the ledger, and what they say of a file that has gone. Nothing here asks the product."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from recorder.retention.policy import Basis

Minima = list[tuple[Basis, int]]


@dataclass(slots=True, kw_only=True)
class Call:
    """What the books know of a recording."""

    project: UUID
    day: date
    recording: UUID
    path: Path
    holds: list[UUID] = field(default_factory=list)
    dates: dict[Basis, date] = field(default_factory=dict)
    volume: str = ""


@dataclass(slots=True, kw_only=True)
class Disc:
    """What the books know of a copy."""

    written: bool = False
    verified: bool = False
    lent: bool = False
    broken: bool = False


@dataclass(slots=True, kw_only=True)
class Project:
    """What the books know of a project: (minima in days, copies wanted), holds, dates."""

    minima: Minima | None = None
    copies: int = 2
    holds: list[UUID] = field(default_factory=list)
    dates: dict[Basis, date] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Books:
    """All of them. `volumes`: label → copies wanted when it was planned; `gone`: calls that were deleted."""

    today: date
    projects: dict[UUID, Project]
    calls: dict[UUID, Call] = field(default_factory=dict)
    discs: dict[str, Disc] = field(default_factory=dict)
    volumes: dict[str, int] = field(default_factory=dict)
    sealed: set[str] = field(default_factory=set)
    gone: set[UUID] = field(default_factory=set)
    released: int = 0
    problems: list[str] = field(default_factory=list)

    def _held(self, call: UUID) -> bool:
        return bool(self.calls[call].holds or self.projects[self.calls[call].project].holds)

    def judge_release(self, call: UUID) -> None:
        """Its file has left the store for the archive."""
        self.released += 1
        one = self.calls[call]
        good = [
            name for name, disc in self.discs.items()
            if name.startswith(f"{one.volume}-") and disc.verified and not disc.lent
        ]  # fmt: skip
        if self._held(call):
            self.problems.append(f"{call} was released under hold")
        if one.volume not in self.sealed or len(good) < max(2, self.projects[one.project].copies):
            self.problems.append(f"{call} was released with {len(good)} verified copies in our hands on {one.volume}")

    def judge_expiry(self, call: UUID) -> None:
        """It was deleted."""
        one = self.calls[call]
        project = self.projects[one.project]
        if self._held(call):
            self.problems.append(f"{call} was deleted under hold")
        if project.minima is None:
            self.problems.append(f"{call} was deleted without a policy")
        dates = {**project.dates, **one.dates, Basis.CALL: one.day}
        for basis, days in project.minima or []:
            if basis in dates and self.today < dates[basis] + timedelta(days=days):
                self.problems.append(f"{call} was deleted inside {days} days from {basis}")
            if basis not in dates and basis is not Basis.DISPUTE_END:
                self.problems.append(f"{call} was deleted although {basis} is not known")

    def copies_verified(self, label: str) -> int:
        """Of a volume, wherever they are."""
        return sum(disc.verified for name, disc in self.discs.items() if name.startswith(f"{label}-"))

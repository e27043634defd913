"""The decisions of the pacer, kept for an hour: why did this project dial so much, or so little, at that moment?"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dialer.domain.pacing import Limit

KEPT = 3_600
"""Decisions of one project, a second apart or more: those of the same second are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One decision about a project. `because`: what the policy weighed, by name."""

    at: datetime
    place: int
    limited_by: Limit
    reason: str = ""
    ready: float = 0.0
    agents: int = 0
    in_flight: int = 0
    waiting: int = 0
    because: tuple[tuple[str, float], ...] = ()

    @property
    def figures(self) -> tuple[tuple[str, float], ...]:
        """What has a mean."""
        own = (
            ("ready", self.ready),
            ("agents", float(self.agents)),
            ("in_flight", float(self.in_flight)),
            ("waiting", float(self.waiting)),
        )
        return own + self.because

    def as_dict(self) -> dict[str, Any]:
        """For the feed, and for people who ask."""
        return {
            "place": self.place,
            "limited_by": self.limited_by.value,
            "reason": self.reason,
            "ready": self.ready,
            "agents": self.agents,
            "in_flight": self.in_flight,
            "waiting": self.waiting,
            **dict(self.because),
        }


class PaceLog:
    """By project, the newest last."""

    def __init__(self) -> None:
        self._kept: dict[UUID, deque[Pace]] = {}

    def __iter__(self) -> Iterator[UUID]:
        return iter(list(self._kept))

    def note(self, project_id: UUID, pace: Pace) -> None:
        """A decision was made."""
        kept = self._kept.setdefault(project_id, deque(maxlen=KEPT))
        if kept and kept[-1].at.replace(microsecond=0) == pace.at.replace(microsecond=0):
            pace = replace(pace, place=pace.place + kept.pop().place)
        kept.append(pace)

    def last(self, project_id: UUID) -> Pace | None:
        """The present decision."""
        kept = self._kept.get(project_id)
        return kept[-1] if kept else None

    def recent(self, project_id: UUID, count: int) -> list[Pace]:
        """The newest `count`, oldest first."""
        return list(self._kept.get(project_id, ()))[-count:]

    def around(self, project_id: UUID, moment: datetime, reach: timedelta) -> list[Pace]:
        """Those not further than `reach` from a moment, oldest first; none when they are forgotten."""
        return [pace for pace in self._kept.get(project_id, ()) if abs(pace.at - moment) <= reach]

    def limits(self, project_id: UUID) -> dict[str, int]:
        """How many of the kept decisions were limited by what."""
        return dict(Counter(pace.limited_by.value for pace in self._kept.get(project_id, ())).most_common())

    def forget(self, project_id: UUID) -> None:
        """It is not dialled here any more."""
        self._kept.pop(project_id, None)

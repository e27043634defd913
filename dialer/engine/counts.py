"""What came of a project's calls today: the live counters.

A day is the calendar day in the project's zone; a call counts on the day it ended. What ended before this engine ran is read from PostgreSQL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg

from dialer.db import attempts as attempts_db
from dialer.domain.outcomes import Outcome
from dialer.engine.clock import Clock
from dialer.engine.floor import Call
from dialer.engine.projects import Projects
from dialer.live.feed import Feed

_TOTALS = ("attempts", "answered", "bridged", "abandoned")


@dataclass(slots=True)
class _Day:
    """A project's numbers since `since`. `complete`: what ended before `counted_from` is in them."""

    zone: str
    since: datetime
    counted_from: datetime  # what ended from here on we count ourselves
    complete: bool = False
    totals: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str, *, ended: int, answered: int, bridged: int, abandoned: int) -> None:
        self.outcomes[outcome] += ended
        self.totals["attempts"] += 0 if outcome == Outcome.NOT_SENT else ended
        self.totals["answered"] += answered
        self.totals["bridged"] += bridged
        self.totals["abandoned"] += abandoned


class Counts:
    """Counts ended calls by project and day."""

    def __init__(self, pool: asyncpg.Pool, projects: Projects, feed: Feed, clock: Clock) -> None:
        self._pool = pool
        self._projects = projects
        self._feed = feed
        self._clock = clock
        self._days: dict[UUID, _Day] = {}
        self._changed: set[UUID] = set()

    def ended(self, call: Call) -> None:
        """A call is over."""
        day = self._today(call.project_id)
        if call.outcome is None or (call.ended_at is not None and call.ended_at < day.since):
            return
        day.add(
            call.outcome.value,
            ended=1,
            answered=call.answered_at is not None,
            bridged=call.bridged_at is not None,
            abandoned=call.outcome is Outcome.ABANDONED,
        )
        self._changed.add(call.project_id)

    def answer_share(self, project_id: UUID) -> float:
        """How many of today's calls were answered; before there are many, rather more than less."""
        totals = self._today(project_id).totals
        return (totals["answered"] + 2) / (totals["attempts"] + 4)

    async def complete(self) -> None:
        """Read what ended before we counted, of all projects where that is missing. Errors: those of a lost PostgreSQL."""
        missing = {project.id: self._today(project.id) for project in self._projects}
        missing = {project_id: day for project_id, day in missing.items() if not day.complete}
        if not missing:
            return
        async with self._pool.acquire(timeout=5) as conn:
            found = await attempts_db.ended_between(
                conn, {key: (day.since, day.counted_from) for key, day in missing.items()}
            )
        for one in found:
            missing[one.project_id].add(
                one.outcome, ended=one.ended, answered=one.answered, bridged=one.bridged, abandoned=one.abandoned
            )
        for project_id, day in missing.items():
            day.complete = True
            self._changed.add(project_id)

    def show(self) -> None:
        """Publish the counters of projects with news; once a tick, not once a call."""
        for project in self._projects:
            self._today(project.id)
        for project_id in self._changed:
            self._feed.publish("counters", str(project_id), self._value(project_id))
        self._changed.clear()

    def _value(self, project_id: UUID) -> dict[str, Any]:
        day = self._today(project_id)
        return {
            "project_id": str(project_id),
            "since": day.since.isoformat().replace("+00:00", "Z"),
            **{word: day.totals[word] for word in _TOTALS},
            "outcomes": dict(day.outcomes),
        }

    def _today(self, project_id: UUID) -> _Day:
        project = self._projects.find(project_id)
        known = self._days.get(project_id)
        zone = project.zone if project is not None else known.zone if known is not None else "UTC"
        now = self._clock.now()
        since = _midnight(now, zone)
        if known is not None and (known.zone, known.since) == (zone, since):
            return known
        # The next day begins empty. After a change of zone, or a clock set back, the rows must be asked.
        went_on = known is not None and known.zone == zone and known.since < since and known.complete
        self._days[project_id] = day = _Day(zone, since, now, complete=went_on)
        self._changed.add(project_id)
        return day


def _midnight(now: datetime, zone: str) -> datetime:
    """When the day that is now began in `zone`, in UTC. A zone that is not known has UTC's days."""
    try:
        local = now.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)

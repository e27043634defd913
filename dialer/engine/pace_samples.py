"""The pacer's decisions, a minute in one: what is left of them after their hour in memory."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime
from uuid import UUID

from dialer.db.pace_samples import PaceSample
from dialer.engine.pace_log import Pace

KEPT = 10_000
"""Minutes that wait for PostgreSQL; of more than these the oldest go: they explain, nothing hangs on them."""


class _Minute:
    """One that has begun."""

    def __init__(self, began_at: datetime) -> None:
        self.began_at = began_at
        self.decisions = self.placed = 0
        self.limits: Counter[str] = Counter()
        self.figures: dict[str, tuple[float, float, float, int]] = {}  # least, sum, most, how many

    def add(self, pace: Pace) -> None:
        self.decisions += 1
        self.placed += pace.place
        self.limits[pace.limited_by.value] += 1
        for name, value in pace.figures:
            least, total, most, count = self.figures.get(name, (value, 0.0, value, 0))
            self.figures[name] = (min(least, value), total + value, max(most, value), count + 1)

    def sample(self, project_id: UUID) -> PaceSample:
        return PaceSample(
            project_id=project_id,
            began_at=self.began_at,
            decisions=self.decisions,
            placed=self.placed,
            limits=dict(self.limits.most_common()),
            figures={
                name: (round(least, 6), round(total / count, 6), round(most, 6))
                for name, (least, total, most, count) in self.figures.items()
            },
        )


class PaceSamples:
    """Takes decisions in the order they are made, gives minutes that are over."""

    def __init__(self) -> None:
        self._open: dict[UUID, _Minute] = {}
        self._waiting: deque[PaceSample] = deque(maxlen=KEPT)

    def note(self, project_id: UUID, pace: Pace) -> None:
        """A decision was made."""
        minute = self._open.get(project_id)
        if minute is None or _minute(minute.began_at) != _minute(pace.at):
            self._close(project_id)
            minute = self._open[project_id] = _Minute(pace.at)
        minute.add(pace)

    def take(self, now: datetime | None) -> list[PaceSample]:
        """The minutes that are over, once; without `now` those that have just begun as well. `give_back` what could not be written."""
        for project_id, minute in list(self._open.items()):
            if now is None or _minute(minute.began_at) != _minute(now):
                self._close(project_id)
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def give_back(self, samples: list[PaceSample]) -> None:
        """They could not be written."""
        newer = list(self._waiting)
        self._waiting.clear()
        self._waiting.extend(samples + newer)

    def _close(self, project_id: UUID) -> None:
        if (minute := self._open.pop(project_id, None)) is not None:
            self._waiting.append(minute.sample(project_id))


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)

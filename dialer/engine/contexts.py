"""What each project dials in at this moment: the hour of its zone, its trunk, and the list that most of its leads come from."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.claim import ClaimedLead
from campaigns.projects import Project
from dialer.domain.pacing.profile import Context

LEADS: Final = 50
"""So many leads, of those that were claimed last, say which list is dialled."""
MOST: Final = 0.8
MIXED: Final = "mixed"


class Contexts:
    """Told of each claim."""

    def __init__(self) -> None:
        self._lately: dict[UUID, deque[UUID | None]] = {}

    def claimed(self, project_id: UUID, leads: Iterable[ClaimedLead]) -> None:
        """These leads are dialled next."""
        self._lately.setdefault(project_id, deque(maxlen=LEADS)).extend(lead.import_id for lead in leads)

    def keep_only(self, projects: Collection[UUID]) -> None:
        """What is not dialled is forgotten."""
        for project_id in [known for known in self._lately if known not in projects]:
            del self._lately[project_id]

    def of(self, project: Project, now: datetime) -> Context:
        """The same as long as nothing changes, so that comparing it says so."""
        hour = ("hour", str(now.astimezone(_zone(project.zone)).hour))
        trunk = ("trunk", project.trunk.id.hex if project.trunk else "")
        lately = self._lately.get(project.id)
        return (hour, trunk, ("list", _list(lately))) if lately else (hour, trunk)


def _list(lately: deque[UUID | None]) -> str:
    newest = lately[-1]
    if lately.count(newest) < MOST * len(lately):
        return MIXED
    return newest.hex if newest else ""


def _zone(name: str) -> ZoneInfo:
    """A zone that is not known has UTC's hours."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")

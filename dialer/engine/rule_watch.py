"""Says in time that a project is going to stand still because its rules come to an end."""

from __future__ import annotations

from datetime import UTC, date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg

from campaigns.life import watching
from campaigns.projects import Project
from campaigns.rules.ending import endings
from dialer.engine.alarms import Alarms
from dialer.engine.clock import Clock

_KIND = watching.AlarmKind.RULES


class RuleWatch:
    """Raises the alarm `rules` of a project once, and clears it when newer packs are in force."""

    def __init__(self, pool: asyncpg.Pool, alarms: Alarms, clock: Clock) -> None:
        self._pool = pool
        self._alarms = alarms
        self._clock = clock

    async def look(self, project: Project) -> None:
        """At the packs of one project. Errors: those of a lost PostgreSQL."""
        now = self._clock.now()
        found = endings(project.rules, self._today(project))
        if bool(found) is self._alarms.raised(project.id, _KIND):
            return
        async with self._pool.acquire(timeout=5) as conn:
            if found:
                first = found[0]
                detail = {
                    "pack": first.pack,
                    "ends": first.what.value,
                    "day": first.day.isoformat(),
                    "why": first.reason,
                }
                alarm = await watching.raise_alarm(conn, project.id, _KIND, now, detail)
                if alarm is not None:
                    self._alarms.show(alarm)
            else:
                for alarm in await watching.clear_alarms(conn, project.id, [_KIND], now):
                    self._alarms.show(alarm)

    def _today(self, project: Project) -> date:
        try:
            return self._clock.now().astimezone(ZoneInfo(project.zone)).date()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return self._clock.now().astimezone(UTC).date()

"""Alarms as the floor sees them: on the live feed and as a measure, raised once and cleared once."""

from __future__ import annotations

from uuid import UUID

from campaigns.life.watching import Alarm, AlarmKind
from dialer.engine.metrics import Metrics
from dialer.live.feed import Feed


class Alarms:
    """Shows the alarms that are raised, and takes away those that are cleared. The rows are `campaigns.life.watching`'s."""

    def __init__(self, feed: Feed, metrics: Metrics) -> None:
        self._feed = feed
        self._metrics = metrics
        self._shown: dict[UUID, Alarm] = {}

    def show(self, alarm: Alarm) -> None:
        """It is so now, or (cleared) no more."""
        if alarm.cleared_at is not None:
            self._take_away(alarm.id)
            return
        if alarm.id in self._shown:
            return
        self._shown[alarm.id] = alarm
        self._metrics.alarms.labels(kind=alarm.kind.value).inc()
        self._feed.publish(
            "alarm",
            str(alarm.id),
            {
                "alarm_id": str(alarm.id),
                "project_id": str(alarm.project_id),
                "kind": alarm.kind.value,
                "raised_at": alarm.raised_at.isoformat().replace("+00:00", "Z"),
                "detail": alarm.detail,
            },
        )

    def raised(self, project_id: UUID, kind: AlarmKind) -> bool:
        """It was said, and is so still."""
        return any(one.project_id == project_id and one.kind is kind for one in self._shown.values())

    def are(self, open_now: list[Alarm]) -> None:
        """These are open, and no others."""
        for gone in set(self._shown) - {one.id for one in open_now}:
            self._take_away(gone)
        for alarm in open_now:
            self.show(alarm)

    def _take_away(self, alarm_id: UUID) -> None:
        if (alarm := self._shown.pop(alarm_id, None)) is not None:
            self._metrics.alarms.labels(kind=alarm.kind.value).dec()
            self._feed.publish("alarm", str(alarm_id), None)

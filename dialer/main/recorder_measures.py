"""What a scraper sees of the recorder."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from recorder.ledger import Alarm


def show_alarm(registry: CollectorRegistry, alarm: Callable[[], Alarm]) -> None:
    """Show the alarm of the moment."""
    gauge = Gauge(
        "waihu_recordings_alarm",
        "Answered calls of the last day without the recording they should have",
        ["kind"],
        registry=registry,
    )
    for kind in Alarm.__slots__:
        gauge.labels(kind).set_function(lambda kind=kind: getattr(alarm(), kind))  # type: ignore[misc]

"""Notices when something blocks the event loop: then every call waits."""

from __future__ import annotations

import asyncio

import structlog

from dialer.engine.clock import Clock
from dialer.engine.metrics import Metrics

_log = structlog.get_logger(__name__)
_EVERY_S = 0.1


async def watch_the_loop(clock: Clock, metrics: Metrics, *, blocked_s: float) -> None:
    """Sleep a little, again and again; waking up late by more than `blocked_s` is counted and logged."""
    while True:
        slept_from = clock.monotonic()
        await asyncio.sleep(_EVERY_S)
        late_s = clock.monotonic() - slept_from - _EVERY_S
        if late_s > blocked_s:
            metrics.loop_blocked.inc()
            _log.warning("The event loop was blocked", late_ms=round(late_s * 1000))

"""Notices when something blocks the event loop: then every call waits."""

from __future__ import annotations

import asyncio

import structlog

from dialer.engine.clock import Clock
from dialer.engine.metrics import Metrics
from dialer.engine.node_load import NodeLoad

_log = structlog.get_logger(__name__)
_EVERY_S = 0.1


async def watch_the_loop(clock: Clock, metrics: Metrics, load: NodeLoad, *, blocked_s: float) -> None:
    """Sleep a little, again and again; waking up late by more than `blocked_s` is counted and logged, and how late is told to the load."""
    while True:
        slept_from = clock.monotonic()
        await asyncio.sleep(_EVERY_S)
        late_s = max(0.0, clock.monotonic() - slept_from - _EVERY_S)
        load.woke(late_s, clock.monotonic(), _EVERY_S)
        metrics.loop_late.set(load.late_s)
        if late_s > blocked_s:
            metrics.loop_blocked.inc()
            _log.warning("The event loop was blocked", late_ms=round(late_s * 1000))

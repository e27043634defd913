"""An engine on a machine that is too busy: it says so, places fewer calls, and its watchdog is what notices."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from dialer.engine.clock import SystemClock
from dialer.engine.metrics import Metrics
from dialer.engine.node_load import NodeLoad
from dialer.engine.watchdog import watch_the_loop
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def test_a_busy_node_places_fewer_calls_says_why_and_goes_on(stage: Stage, monkeypatch: Any) -> None:
    monkeypatch.setattr(NodeLoad, "woke", lambda *_: None)  # what this machine bears just now is not what is tested
    await stage.start()
    stage.engine.parts.budgets.load.max_cps = 2.0
    project = await stage.project()
    for _ in range(4):
        await stage.agent(project)
    await stage.leads(project, 4)
    said: set[str] = set()

    def all_are_placed() -> bool:
        said.add(str(stage.engine.explain_project(project.id)["why"]))
        return len(stage.asterisk.sent_calls()) == 4

    await stage.until(all_are_placed, "four calls, half a second apart", 10)
    assert "node_load" in said


class Told(NodeLoad):
    """Keeps what the watchdog says."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, float, float]] = []

    def woke(self, late_s: float, at_s: float, every_s: float) -> None:
        self.times.append((late_s, at_s, every_s))


async def test_the_watchdog_tells_how_late_the_loop_wakes_up() -> None:
    load = Told()
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await watch_the_loop(SystemClock(), Metrics(), load, blocked_s=5.0)
    assert load.times
    assert all(late_s >= 0 and at_s > 0 and every_s == 0.1 for late_s, at_s, every_s in load.times)

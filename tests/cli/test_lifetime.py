"""The end of a process: in reverse order, in bounded time, whatever hangs."""

from __future__ import annotations

import asyncio
import time

from dialer.main.lifetime import Lifetime

NEVER = asyncio.Event


async def test_parts_stop_in_reverse_order() -> None:
    stopped: list[str] = []

    async def stop(name: str) -> None:
        stopped.append(name)

    life = Lifetime(drain_s=5)
    for name in ("database", "engine", "web"):
        life.stop_with(name, lambda name=name: stop(name))  # type: ignore[misc]
    await life.close()
    assert stopped == ["web", "engine", "database"]


async def test_parts_that_hang_take_no_longer_than_the_deadline_and_leave_time_for_those_after_them() -> None:
    stopped: list[float] = []
    began = time.monotonic()

    async def stop_well() -> None:
        stopped.append(time.monotonic() - began)

    life = Lifetime(drain_s=4.0)
    life.stop_with("database", stop_well)
    life.stop_with("recorder", NEVER().wait)
    life.stop_with("engine", stop_well)
    life.stop_with("web", NEVER().wait)
    await life.close()
    took_s = time.monotonic() - began
    assert len(stopped) == 2
    assert 1.9 < stopped[0] < 3.5, "web had half of the time"
    assert took_s < 4.7, "four parts, one deadline"


async def test_watcher_that_does_not_listen_to_its_cancellation_is_left() -> None:
    life = Lifetime(drain_s=1.0)
    free = asyncio.Event()

    async def deaf() -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    life.watch("deaf", deaf)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await life.close()
    free.set()

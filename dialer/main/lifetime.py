"""How a process lives and ends: parts start in order, a signal or a lost part ends them in reverse order, each within its deadline."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import cast

import structlog

from dialer.domain.errors import WaihuError

log = structlog.get_logger(__name__)

_LEAST_S = 1.0  # each part gets so much, however long those before it took


class Stop(Exception):
    """Why the process ends. `code` is its exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Lifetime:
    """Starts parts and remembers how to stop them."""

    def __init__(self, *, drain_s: float) -> None:
        self._drain_s = drain_s
        self._stops: list[tuple[str, Callable[[], Awaitable[object]]]] = []
        self._end: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self._watchers: set[asyncio.Task[None]] = set()

    def stop_with(self, name: str, stop: Callable[[], Awaitable[object]]) -> None:
        """When the end comes, call this; what was added last is stopped first."""
        self._stops.append((name, stop))

    def end(self, reason: str, code: int = 0) -> None:
        """Ask for the end. The first to ask gives the reason."""
        if not self._end.done():
            self._end.set_result(Stop(reason, code))

    def watch(self, name: str, work: Callable[[], Awaitable[object]], *, code: int = 1) -> None:
        """Run something whose end (or failure) is the end of the process."""

        async def watching() -> None:
            try:
                await work()
                self.end(f"{name} has ended", code)
            except asyncio.CancelledError:
                raise
            except WaihuError as error:
                log.critical("A part cannot go on", part=name, error_id=error.error_id, reason=error.message)
                self.end(f"{name}: {error.error_id}", code)
            except Exception:
                log.exception("A part failed", part=name)
                self.end(f"{name} failed", code)

        self._hold(asyncio.get_running_loop().create_task(watching(), name=f"watch {name}"))

    def background(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Run something that may fail without harm to the rest; it is begun again after a pause."""

        async def again() -> None:
            while True:
                try:
                    await work()
                except Exception:  # the rim of a loop: this part is not what calls hang on
                    log.exception("A part failed and is begun again", part=name)
                await asyncio.sleep(1)

        self._hold(asyncio.get_running_loop().create_task(again(), name=name))

    def _hold(self, task: asyncio.Task[None]) -> None:
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def started(self, start: Callable[[], Awaitable[object]]) -> None:
        """Wait for a start, unless the end is asked for meanwhile (then raises its Stop)."""
        task = asyncio.ensure_future(start())  # noqa: TID251  # held by the two lines below
        waited: set[asyncio.Future[object]] = {task, cast("asyncio.Future[object]", self._end)}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise self._end.result()

    async def until_end(self) -> Stop:
        """Wait for the end."""
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        """Stop everything that was started, last first, within `drain_s` in all; what takes too long is left.

        A part may use half of what is left, so that one that hangs does not take the time of those after it: the engine still writes what
        it knows when a browser does not let go of the API.
        """
        left_until = time.monotonic() + self._drain_s
        for task in self._watchers:
            task.cancel()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=self._drain_s / 4)
        while self._stops:
            name, stop = self._stops.pop()
            deadline_s = max(_LEAST_S, (left_until - time.monotonic()) / 2)
            try:
                async with asyncio.timeout(deadline_s):
                    await stop()
            except TimeoutError:
                log.warning("A part did not stop in time", part=name, deadline_s=round(deadline_s, 1))
            except Exception:  # the next part must be stopped too
                log.exception("A part failed while it stopped", part=name)


class EndByForce:
    """The last deadline of a stop. Threads are waited for without one when a loop closes, and a disk that hangs never answers them.

    What we have not written is in the journals of others by then: the next start reconciles as after a kill.
    """

    def __init__(self, deadline_s: float) -> None:
        self._timer = threading.Timer(deadline_s, self._end)
        self._timer.daemon = True

    def begin(self) -> None:
        """The stop has begun."""
        self._timer.start()

    def not_needed(self) -> None:
        """The stop is done."""
        self._timer.cancel()

    def _end(self) -> None:
        log.critical("The stop took too long: ending by force", deadline_s=self._timer.interval)
        faulthandler.dump_traceback(all_threads=True)  # where it hangs
        os._exit(1)


@asynccontextmanager
async def lifetime(*, drain_s: float) -> AsyncIterator[Lifetime]:
    """A lifetime that SIGTERM and SIGINT end; a second signal ends the process at once, for those who cannot wait."""
    loop = asyncio.get_running_loop()
    life = Lifetime(drain_s=drain_s)

    def told(number: signal.Signals) -> None:
        if life._end.done():  # noqa: SLF001  # the two are one thing
            log.warning("Second signal: ending at once", signal=number.name)
            os._exit(1)
        life.end(f"told by {number.name}")

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, told, number)
    try:
        yield life
    finally:
        await life.close()
        for number in numbers:
            with suppress(ValueError):
                loop.remove_signal_handler(number)

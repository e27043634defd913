"""Tasks that are named, held and watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


class TaskSet:
    """The tasks of an engine: none is lost, none dies in silence, all end with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failures = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` once; an error is logged with the task's name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def keep(self, name: str, work: Callable[[], Awaitable[None]], *, pause_s: float = 1.0) -> None:
        """Run `work` for ever: when it fails it is logged and begun again after a pause."""
        self.spawn(name, self._again(name, work, pause_s))

    async def _again(self, name: str, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            try:
                await work()
                return
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001 - the rim of a loop: whatever it is, the engine goes on
                self.failures += 1
                _log.exception("A task of the engine failed and is begun again", task=name)
                await asyncio.sleep(pause_s)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures += 1
            _log.error("A task of the engine failed", task=task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel all, wait for their end."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

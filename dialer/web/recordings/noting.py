"""The audit rows of listening, committed together: who comes while two lots are being written waits for the next one, and for its commit.

Two, because where few listen nobody should wait for the end of another's commit. A commit costs the disk the same for one row and for a hundred. Nobody hears a byte before their own row is committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg

from dialer.db import hearing
from dialer.db.hearing import Heard
from dialer.web.deps import WebDeps

MOST_AT_ONCE = 200
LOTS = 2
_Waiting = tuple[Heard, asyncio.Future[bool]]


class Noting:
    """Writes them. `start`: runs work that belongs to no request."""

    def __init__(self, deps: WebDeps, start: Callable[[Coroutine[Any, Any, None], str], None]) -> None:
        self._deps = deps
        self._start = start
        self._waiting: deque[_Waiting] = deque()
        self._lots = 0

    async def note(self, heard: Heard) -> bool:
        """The row is committed; False: it is not, what was remembered does not hold any more. Errors: those of the database."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((heard, written))
        if self._lots < LOTS:
            self._lots += 1
            self._start(self._write(), "audit rows of listening")
        return await written

    async def _write(self) -> None:
        lot: list[_Waiting] = []
        try:
            while self._waiting:
                lot = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
                await self._commit(lot)
        finally:
            self._lots -= 1
            for _, written in lot if self._lots else [*lot, *self._waiting]:
                written.cancel()  # where the application ends; what has its answer stays as it is
            if not self._lots:
                self._waiting.clear()

    async def _commit(self, lot: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout(self._deps.settings.request_timeout_s), self._deps.pool.acquire() as conn:
                found = await hearing.note(conn, [heard for heard, _ in lot])
        except asyncpg.DataError as error:
            # A row that the database cannot read must not keep the others from being heard.
            for one in lot if len(lot) > 1 else ():
                await self._commit([one])
            self._refuse(lot, error)
        except Exception as error:  # noqa: BLE001  # each of those who wait says it to its client
            self._refuse(lot, error)
        else:
            for (_, written), done in zip(lot, found, strict=True):
                if not written.done():
                    written.set_result(done)

    @staticmethod
    def _refuse(lot: list[_Waiting], error: Exception) -> None:
        for _, written in lot:
            if not written.done():
                written.set_exception(error)

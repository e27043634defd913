"""Compares the spool and the attempts with the ledger, a bounded batch a round, and signals what nobody else did."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder import ledger
from recorder.settings import RecorderSettings
from recorder.spool import SpoolWalk
from recorder.sweep import Sweep

if TYPE_CHECKING:
    from recorder.ledger import Conn, LedgerPool

_SWEEP_LAG: Final = timedelta(minutes=2)
"""Ids are made before they are committed: younger attempts can still appear behind the walk."""

_DOUBTED_LAG: Final = timedelta(minutes=2)
"""A younger one is being read back just now."""

_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
"""A position before every row."""


class Reconciler:
    """Four walks: the files in the spool, the attempts without a row, the rows that wait, and now and then those whose file is in doubt."""

    def __init__(
        self,
        pool: LedgerPool,
        settings: RecorderSettings,
        clock: Callable[[], datetime],
        *,
        signal: Callable[[UUID], bool],
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._signal = signal
        self._walk = SpoolWalk(settings.spool_dir)
        self._sweep: Sweep | None = None
        self._pending_after = _BEGINNING
        self._doubted_after = UUID(int=0)
        self._doubted_due_s = 0.0

    async def round(self) -> None:
        """One bounded look at each of them."""
        await self._spool(self._walk)
        batch = self._settings.reconcile_batch
        sweep = await self._swept()
        async with self._connection() as conn:
            opened, _ = await sweep.walk(conn, up_to=self._clock() - _SWEEP_LAG, at=self._clock(), count=batch)
            waiting = await ledger.pending(conn, after=self._pending_after, node=self._settings.node, limit=batch)
            in_doubt = await self._in_doubt(conn)
        self._pending_after = waiting[-1] if len(waiting) == batch else _BEGINNING
        for attempt_id in [*opened, *(attempt_id for _, attempt_id in waiting), *in_doubt]:
            self._signal(attempt_id)
        await asyncio.to_thread(sweep.keep_position)

    async def _in_doubt(self, conn: Conn) -> list[UUID]:
        """Their files are read again: what was put back from a backup or a disc counts again. Seldom, as each is a whole file."""
        if time.monotonic() < self._doubted_due_s:
            return []
        batch = self._settings.reconcile_batch
        found = await ledger.doubted(
            conn, after=self._doubted_after, before=self._clock() - _DOUBTED_LAG, node=self._settings.node, limit=batch
        )
        self._doubted_due_s = time.monotonic() + self._settings.doubted_every_s
        self._doubted_after = found[-1] if len(found) == batch else UUID(int=0)
        return found

    async def everything(self) -> int:
        """Look at all of it once and signal it; returns how much is not settled yet."""
        found, ended, walk = 0, False, SpoolWalk(self._settings.spool_dir)
        while not ended:
            count, ended = await self._spool(walk)
            found += count
        now, batch = self._clock(), self._settings.reconcile_batch
        sweep = await self._swept()
        async with self._connection() as conn:
            opened = await sweep.peek(conn, up_to=now + _SWEEP_LAG, at=now, count=batch)
            waiting = await ledger.pending(conn, after=_BEGINNING, node=self._settings.node, limit=batch)
        for _, attempt_id in waiting:
            self._signal(attempt_id)
        return found + len(opened) + len(waiting)

    async def _swept(self) -> Sweep:
        if self._sweep is None:
            self._sweep = await asyncio.to_thread(
                Sweep, self._settings.spool_dir, node=self._settings.node, now=self._clock()
            )
        return self._sweep

    async def _spool(self, walk: SpoolWalk) -> tuple[int, bool]:
        attempt_ids, ended = await asyncio.to_thread(walk.next_attempts, self._settings.reconcile_batch)
        if not attempt_ids:
            return 0, ended
        async with self._connection() as conn:
            done = await ledger.not_live(conn, list(attempt_ids))
        for attempt_id in done:
            self._signal(attempt_id)
        return len(done), ended

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Conn]:
        async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
            yield conn

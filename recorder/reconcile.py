"""Compares the spool and the attempts with the ledger, a bounded batch a round, and signals what nobody else did."""

from __future__ import annotations

import asyncio
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

_BEGINNING: Final = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
"""A position before every row."""


class Reconciler:
    """Three walks: the files in the spool, the attempts without a row, the rows that wait."""

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

    async def round(self) -> None:
        """One bounded look at each of the three."""
        await self._spool(self._walk)
        batch = self._settings.reconcile_batch
        sweep = await self._swept()
        async with self._connection() as conn:
            opened, _ = await sweep.walk(conn, up_to=self._clock() - _SWEEP_LAG, at=self._clock(), count=batch)
            waiting = await ledger.pending(conn, after=self._pending_after, node=self._settings.node, limit=batch)
        self._pending_after = waiting[-1] if len(waiting) == batch else _BEGINNING
        for attempt_id in [*opened, *(attempt_id for _, attempt_id in waiting)]:
            self._signal(attempt_id)
        await asyncio.to_thread(sweep.keep_position)

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

"""Keeps the last word on room for recordings: measures, remembers refusals, knows a day's use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from recorder import ledger
from recorder.settings import RecorderSettings
from recorder.space import Floors, Free, Room, Watermarks, bytes_to_release, daily_bytes, free_bytes, judge_room

if TYPE_CHECKING:
    from recorder.ledger import LedgerPool

log = structlog.get_logger(__name__)

_USE_WINDOW: Final = timedelta(days=1)
_USE_EVERY_S: Final = 3600.0


class RoomWatch:
    """Told by the intake when a disk refuses and when it takes again; an old refusal that nobody repeats is forgotten."""

    def __init__(self, pool: LedgerPool, settings: RecorderSettings, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._settings = settings
        self._clock = clock
        self._floors = Floors(spool_bytes=settings.spool_floor_bytes, store_bytes=settings.store_floor_bytes)
        self._asked: dict[Path, asyncio.Task[int | None]] = {}
        self._bytes_a_day: float | None = None
        self._use_due_s = 0.0
        self._looked = False
        self._refused = ""
        self._refused_s = 0.0
        self.room: Room = judge_room(Free(spool_bytes=None, store_bytes=None), self._floors)

    @property
    def bytes_to_release(self) -> int:
        """What has to leave the store, by the last look."""
        marks = Watermarks(low_days=self._settings.store_low_days, enough_days=self._settings.store_enough_days)
        return bytes_to_release(self.room, marks, self._floors, bytes_a_day=self._bytes_a_day)

    def refuse(self, reason: str) -> None:
        """A disk has refused what it was given."""
        self._refused, self._refused_s = reason, time.monotonic()

    def accept(self) -> None:
        """The disks take what they are given."""
        self._refused = ""

    async def look(self) -> None:
        """Measure and decide; a change is logged once."""
        spool, store = await asyncio.gather(self._free(self._settings.spool_dir), self._free(self._settings.store_dir))
        free = Free(spool_bytes=spool, store_bytes=store)
        if time.monotonic() - self._refused_s > 3 * self._settings.back_off_max_s:
            self._refused = ""
        was = self.room
        self.room = judge_room(
            free,
            self._floors,
            was_blocked=was.blocked and self._looked,
            refused=self._refused,
            bytes_a_day=self._bytes_a_day,
        )
        first, self._looked = not self._looked, True
        if self.room.blocked and (first or self.room.reason != was.reason):
            log.error(
                "Recording is blocked: dialling stops",
                reason=self.room.reason,
                store_free_bytes=self.room.store_free_bytes,
            )
        elif was.blocked and not self.room.blocked and not first:
            log.info("There is room for recordings: dialling may go on", store_free_bytes=self.room.store_free_bytes)

    async def _free(self, place: Path) -> int | None:
        """None also where the answer is late: what does not answer takes no recording. It is asked again only when it has answered."""
        asked = self._asked.get(place)
        if asked is None or asked.done():
            measuring = asyncio.to_thread(free_bytes, place)
            asked = self._asked[place] = asyncio.get_running_loop().create_task(measuring, name="recorder-free-bytes")
        await asyncio.wait([asked], timeout=self._settings.space_timeout_s)
        return asked.result() if asked.done() else None

    async def learn_use(self) -> None:
        """Ask the ledger, now and then, what a day takes."""
        if time.monotonic() < self._use_due_s:
            return
        self._use_due_s = time.monotonic() + _USE_EVERY_S
        async with asyncio.timeout(self._settings.ledger_timeout_s), self._pool.acquire() as conn:
            total = await ledger.bytes_since(conn, self._clock() - _USE_WINDOW)
        self._bytes_a_day = daily_bytes(total, _USE_WINDOW.total_seconds())

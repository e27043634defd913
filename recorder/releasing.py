"""Makes room in a store that runs full: what enough verified discs have goes, oldest first. The unverified, the held and the unburned never do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from recorder.removals import Audit, Removals

if TYPE_CHECKING:
    from recorder.ledger import LedgerPool

log = structlog.get_logger(__name__)

BY: Final = "recorder"


class Releaser:
    """Remembers only what it has said: that nothing more may go, that files cannot be removed."""

    def __init__(self, pool: LedgerPool, store_dir: Path, clock: Callable[[], datetime], audit: Audit) -> None:
        self._clock = clock
        self._removals = Removals(pool=pool, store_dir=store_dir, clock=clock, by=BY, audit=audit)
        self._said = False
        self._stuck = False

    async def make_room(self, wanted_bytes: int) -> bool:
        """Free so much, or as much as may go; True when something went."""
        if wanted_bytes <= 0:
            self._said = False
            return False
        done = await self._removals.make_room(before=self._clock(), at_least_bytes=wanted_bytes)
        if done.recordings:
            log.info(
                "The store runs full: recordings are on discs only now", recordings=done.recordings, bytes=done.bytes
            )
        if done.stuck and not self._stuck:
            log.error(
                "Files cannot be removed from the store and stay until they can: see its rights and its disk",
                files=len(done.stuck),
            )
        self._stuck = bool(done.stuck)
        if done.bytes >= wanted_bytes:
            self._said = False
        elif not self._said:
            log.error(
                "The store runs full and nothing more may leave it: burn volumes, read them again, or make room",
                missing_bytes=wanted_bytes - done.bytes,
            )
            self._said = True
        return bool(done.recordings)

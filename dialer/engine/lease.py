"""The lease on a node: one engine for one Asterisk. Kept in PostgreSQL, measured by its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg
import structlog

from dialer.db import nodes
from dialer.db.pool import LOST
from dialer.domain.errors import Conflict, Unavailable
from dialer.engine.clock import Clock

_log = structlog.get_logger(__name__)


class NodeLease:
    """Acquired once, renewed until it is released or lost. While PostgreSQL is away it runs out, and no new call is placed."""

    def __init__(
        self, pool: asyncpg.Pool, node: str, run_id: UUID, *, lease_s: float, control_url: str | None, clock: Clock
    ) -> None:
        self._pool = pool
        self._node = node
        self._run_id = run_id
        self._lease_s = lease_s
        self._control_url = control_url
        self._clock = clock
        self._until_s = float("-inf")
        self._asked = asyncio.Event()
        self.lost = asyncio.Event()

    @property
    def held(self) -> bool:
        """Ours, for certain, at this moment."""
        return not self.lost.is_set() and self._clock.monotonic() < self._until_s

    async def acquire(self) -> None:
        """Take it. Errors: Conflict `node_taken` while another engine holds it; Unavailable `database_away`."""
        asked_s = self._clock.monotonic()
        try:
            async with self._pool.acquire(timeout=5) as conn:
                await nodes.ensure(conn, self._node)
                await nodes.acquire(
                    conn, self._node, self._run_id, lease_s=self._lease_s, control_url=self._control_url
                )
        except LOST as error:
            raise Unavailable(
                "database_away", "PostgreSQL cannot be reached; an engine cannot start without it."
            ) from error
        self._until_s = asked_s + self._lease_s

    async def keep(self, on_lost: Callable[[], None]) -> None:
        """Renew it until another engine has taken it."""
        while True:
            await asyncio.sleep(self._lease_s / 4)
            asked_s = self._clock.monotonic()
            try:
                async with self._pool.acquire(timeout=self._lease_s / 4) as conn:
                    ours = await nodes.renew(conn, self._node, self._run_id, lease_s=self._lease_s)
            except LOST:
                continue
            if ours:
                self._until_s = max(self._until_s, asked_s + self._lease_s)
                continue
            self._until_s = float("-inf")
            try:
                await self.acquire()  # it has run out while PostgreSQL was away: nobody else may have wanted it
            except Unavailable:
                continue
            except Conflict:
                _log.error("Another engine has taken the node, this one stops", node=self._node)
                self.lost.set()
                on_lost()
                return

    async def release(self) -> None:
        """Give it back, so that another engine need not wait for its end."""
        if self.lost.is_set():
            return
        self._until_s = float("-inf")
        try:
            async with self._pool.acquire(timeout=2) as conn:
                await nodes.release(conn, self._node, self._run_id)
        except LOST:
            _log.info("The lease could not be given back; it ends by itself", node=self._node)

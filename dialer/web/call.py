"""What a handler has at hand: who asks, from where, when, and what the application stands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from campaigns.sql import OneConnection
from dialer.db import audit_trail
from dialer.db.sql import Connection
from dialer.web.deps import WebDeps
from dialer.web.errors import unauthenticated
from dialer.web.identity import Identity, actor_of
from dialer.web.parts import Parts

ACQUIRE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request being served."""

    request: web.Request
    deps: WebDeps
    parts: Parts
    caller: Identity | None
    address: str | None
    now: datetime
    cookies: dict[str, str | None] = field(default_factory=dict)  # to set with the answer; None: to take away

    @property
    def identity(self) -> Identity:
        """Who asks. Errors: 401 when nobody has logged in."""
        if self.caller is None:
            raise unauthenticated()
        return self.caller

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[OneConnection]:
        """A connection for reading."""
        async with self.deps.pool.acquire(timeout=ACQUIRE_S) as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[OneConnection]:
        """A connection in a transaction, for what changes something together with its audit row."""
        async with self.deps.pool.acquire(timeout=ACQUIRE_S) as conn, conn.transaction():
            yield conn

    async def audit(
        self, conn: Connection, action: str, subject_type: str, subject_id: object, **detail: object
    ) -> None:
        """Write the audit row, in the caller's transaction."""
        await audit_trail.write(conn, self.entry(action, subject_type, subject_id, **detail))

    def entry(self, action: str, subject_type: str, subject_id: object, **detail: object) -> audit_trail.Entry:
        """The audit row of what is being done."""
        caller = self.caller
        return audit_trail.Entry(
            at=self.now, user_id=caller.user_id if caller else None, actor=actor_of(caller), address=self.address, action=action,
            subject_type=subject_type, subject_id=str(subject_id), detail=detail,
        )  # fmt: skip

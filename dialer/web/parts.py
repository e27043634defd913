"""What the application makes for itself from what it was given, once, when it is built."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from aiohttp import web

from campaigns.projects import showing_numbers
from dialer.db import audit_trail
from dialer.web.access import Access
from dialer.web.deps import WebDeps
from dialer.web.errors import DATABASE_AWAY
from dialer.web.guard import Measures
from dialer.web.login_limit import LoginLimit
from dialer.web.passwords import Passwords
from dialer.web.recordings.noting import Noting
from dialer.web.recordings.sounds import Sounds
from recorder.made_sound import MadeSound
from recorder.open_files import OpenFiles

log = structlog.get_logger(__name__)

BACKLOG = 10_000
BACKLOG_WAIT_S = 2.0


class Tasks:
    """Work that goes on after its request: held, named, ended with the application."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start it; a failure is logged."""
        task = asyncio.create_task(work, name=name)  # noqa: TID251  # this is the supervised task set
        self._running.add(task)
        task.add_done_callback(self._done)

    async def stop(self) -> None:
        """End what still runs."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("work after a request failed", task=task.get_name(), exc_info=task.exception())


class DeskAudit:
    """Audit rows of the desk. A conversation must not wait for a database that is away: its rows are kept (bounded) and written later."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._waiting: deque[audit_trail.Entry] = deque()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many rows wait for the database."""
        return len(self._waiting)

    async def write(self, entry: audit_trail.Entry) -> None:
        """Write it, or keep it for later."""
        if len(self._waiting) >= BACKLOG:
            self.dropped += 1
            log.error(
                "too many audit rows wait for the database, this one is only here",
                action=entry.action,
                actor=entry.actor,
                subject=entry.subject_id,
            )
            return
        self._waiting.append(entry)
        await self.flush()

    async def flush(self) -> None:
        """Write what waits, in order."""
        try:
            async with asyncio.timeout(BACKLOG_WAIT_S), self._deps.pool.acquire() as conn:
                while self._waiting:
                    entry = self._waiting.popleft()
                    try:
                        await audit_trail.write(conn, entry)
                    except asyncpg.DataError:
                        # One row that the database cannot hold must not keep the desk, and all rows after it, waiting.
                        log.exception(
                            "an audit row was refused by the database and is only here", actor=entry.actor,
                            action=entry.action, subject_type=entry.subject_type, subject_id=entry.subject_id, at=str(entry.at), detail=dict(entry.detail),
                        )  # fmt: skip
                        self.dropped += 1
                    except BaseException:
                        self._waiting.appendleft(entry)
                        raise
        except DATABASE_AWAY as error:
            log.warning("audit rows wait for the database", waiting=len(self._waiting), error=type(error).__name__)


class Masks:
    """Which projects show numbers. Not known, or not to be read: masked."""

    MAX_AGE_S = 2.0

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._open: frozenset[UUID] = frozenset()
        self._read_at: float | None = None

    async def refresh(self) -> None:
        """Read again when what is known is older than MAX_AGE_S."""
        now = asyncio.get_running_loop().time()
        if self._read_at is not None and now - self._read_at < self.MAX_AGE_S:
            return
        try:
            async with asyncio.timeout(BACKLOG_WAIT_S), self._deps.pool.acquire() as conn:
                self._open = await showing_numbers(conn)
            self._read_at = now
        except DATABASE_AWAY:
            self._open = frozenset()

    def forget(self) -> None:
        """A project has changed: read again next time."""
        self._read_at = None

    def masked(self, project_id: object) -> bool:
        """Whether this project's numbers are masked."""
        try:
            return UUID(str(project_id)) not in self._open
        except ValueError:
            return True


@dataclass(slots=True, kw_only=True)
class Parts:
    """The application's own pieces."""

    passwords: Passwords
    logins: LoginLimit
    access: Access
    measures: Measures
    tasks: Tasks
    desk_audit: DeskAudit
    masks: Masks
    mp3s: MadeSound
    clips: MadeSound
    sounds: Sounds
    noting: Noting
    open_files: OpenFiles
    document: dict[str, Any] = field(default_factory=dict)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    simulations: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    screens: set[web.WebSocketResponse] = field(default_factory=set)


PARTS: web.AppKey[Parts] = web.AppKey("parts", Parts)


def make_parts(deps: WebDeps) -> Parts:
    """All of them."""
    tasks = Tasks()
    return Parts(
        passwords=Passwords(), logins=LoginLimit(deps.redis), access=Access(deps), measures=Measures(deps.registry), tasks=tasks,
        desk_audit=DeskAudit(deps), masks=Masks(deps), mp3s=MadeSound(), clips=MadeSound(), sounds=Sounds(deps), noting=Noting(deps, tasks.start),
        open_files=OpenFiles(kept_bytes=deps.settings.heard_in_memory_bytes),
    )  # fmt: skip

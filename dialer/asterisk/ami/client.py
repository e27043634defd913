"""The AMI client that the engine holds: one session at a time, reconnected for ever, nothing ever sent twice.

    async with AmiClient(config, random=Random()) as ami:
        async for item in ami.items():
            match item:
                case Connected() | Resync(): ...   # ask what is there: await ami.fetch(core_show_channels())
                case Lost(): ...                   # place no calls; those without an answer are unknown
                case Event(): ...                  # view(item)

One consumer takes the items; any number of tasks may send. After a reconnect the client sends nothing by itself but login and
pings: an action whose answer is missing raised OutcomeUnknown, and whoever sent it reconciles.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from types import TracebackType
from typing import Self

import structlog

from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.backoff import backoff_s
from dialer.asterisk.ami.connection import AmiConfig, AmiConnection, AmiCounters, ami_session
from dialer.asterisk.ami.errors import AmiError, NotConnected, SessionClosed, UnsupportedAsterisk
from dialer.asterisk.ami.event_queue import Connected, EventQueue, Item, Lost, Resync
from dialer.asterisk.ami.message import Event, Response

__all__ = ["AmiClient", "AmiConfig", "AmiCounters", "Connected", "Event", "Item", "Lost", "Resync", "ami_session"]

_log = structlog.get_logger(__name__)


class AmiClient:
    """A client for one Asterisk node. `random` jitters the reconnects."""

    def __init__(self, config: AmiConfig, *, random: Random) -> None:
        self.config = config
        self.counters = AmiCounters()
        self._random = random
        self._queue = EventQueue(bound=config.max_events_queued)
        self._connection: AmiConnection | None = None
        self._connected: Connected | None = None
        self._last_error: AmiError = NotConnected("not started")
        self._changed = asyncio.Event()
        self._closing = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Begin to connect. Returns at once; `Connected` comes through `items()`."""
        if self._task is None:
            name = f"ami-session {self.config.name}"
            self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def close(self) -> None:
        """Log off, end the tasks; `items()` ends after what is queued. Idempotent."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            if self._connection is None:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._queue.close()

    @property
    def connected(self) -> Connected | None:
        """The session that is ready now, or None."""
        return self._connected

    @property
    def last_error(self) -> AmiError:
        """Why there is, or lately was, no session."""
        return self._last_error

    @property
    def dropped_items(self) -> int:
        """Items that were thrown away because the consumer lagged (each time a Resync was given instead)."""
        return self._queue.dropped

    async def wait_connected(self, timeout_s: float) -> Connected:
        """Wait for a session. Errors: the last AmiError (LoginRefused, ConnectFailed, UnsupportedAsterisk ...) when none comes."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._connected is None:
                    if self._task is None or self._task.done():
                        raise self._last_error
                    self._changed.clear()
                    await self._changed.wait()
                return self._connected
        except TimeoutError:
            raise self._last_error from None

    async def send(self, action: Action, *, deadline_s: float | None = None, action_id: str | None = None) -> Response:
        """Perform an action; gives Asterisk's Response.

        `deadline_s` defaults to `config.action_deadline_s`; `action_id` (letters, digits, `-`) may be chosen, to find it again in
        an `OriginateResponse`. Errors: NotSent (nothing happened), ActionFailed (refused), OutcomeUnknown (reconcile).
        """
        return await self._session().send(action, deadline_s=deadline_s, action_id=action_id)

    async def fetch(
        self, action: Action, *, deadline_s: float | None = None, max_events: int | None = None
    ) -> tuple[Event, ...]:
        """Perform a *list* action; gives its events without the closing one. Errors: as `send`, and ListTooLong."""
        return await self._session().fetch(action, deadline_s=deadline_s, max_events=max_events)

    async def items(self) -> AsyncIterator[Item]:
        """Events and changes of the session, in order, for one consumer. Ends when the client is closed.

        One at a time: a consumer that leaves its loop and comes back has missed nothing.
        """
        while one := await self._queue.take(1):
            yield one[0]

    async def take(self, limit: int = 256) -> list[Item]:
        """What is queued, at most `limit`; waits for the first. Empty when the client is closed."""
        return await self._queue.take(limit)

    def _session(self) -> AmiConnection:
        if self._connection is None:
            raise NotConnected(self._last_error.message)
        return self._connection

    async def _run(self) -> None:
        failures = 0
        log = _log.bind(node=self.config.name)
        while not self._closing:
            try:
                connection = await self._open()
            except AmiError as error:
                failures += 1
                self._note(error)
                if failures == 1:
                    log.warning("AMI session could not be opened", error_id=error.error_id, reason=error.message)
                if isinstance(error, UnsupportedAsterisk):
                    self._queue.put(Lost(reason=error, is_final=True))
                    return
                wait_s = backoff_s(
                    failures, self._random, base_s=self.config.reconnect_base_s, cap_s=self.config.reconnect_cap_s
                )
                await self._pause(wait_s)
                continue
            failures = 0
            log.info("AMI session is ready", asterisk=connection.asterisk_version, session=self.counters.sessions)
            reason = await self._serve(connection)
            if reason is not None:
                log.warning("AMI session lost", error_id=reason.error_id, reason=reason.message)

    async def _open(self) -> AmiConnection:
        """A session that is announced: nothing is passed on before its Connected."""
        announced = False

        def pass_on(event: Event) -> None:
            if announced:
                self._queue.put(event)

        connection = await AmiConnection.open(self.config, pass_on, self.counters)
        self.counters.sessions += 1
        self._connected = Connected(
            asterisk_version=connection.asterisk_version,
            system_name=connection.system_name,
            session=self.counters.sessions,
        )
        self._connection = connection
        self._queue.put(self._connected)
        announced = True
        self._changed.set()
        return connection

    async def _serve(self, connection: AmiConnection) -> AmiError | None:
        """Until the session is lost (gives the reason) or we close (gives None)."""
        connection.call_when_lost(self._wake.set)
        try:
            while connection.lost is None and not self._closing:
                self._wake.clear()
                await self._wake.wait()
            reason = connection.lost
        finally:
            self._connection = None
            self._connected = None
            await connection.close()
        error = reason or SessionClosed("closed by us")
        self.counters.sessions_lost += reason is not None
        self._note(error)
        self._queue.put(Lost(reason=error, is_final=reason is None))
        return reason

    def _note(self, error: AmiError) -> None:
        self._last_error = error
        self._changed.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self._closing:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return

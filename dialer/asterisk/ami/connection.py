"""One AMI session over one TCP connection: from connect to lost, never beyond.

    connection = await AmiConnection.open(config, on_event=sink)
    answer = await connection.perform(action, ...)
    reason = await connection.wait_lost()

Two tasks live inside (`ami-read`, `ami-ping`); when either ends, the session ends, and every action without an answer raises
ConnectionLost (an OutcomeUnknown). Nothing is ever sent again from here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.errors import (
    ActionFailed,
    AmiError,
    AnswerOverdue,
    ConnectFailed,
    ConnectionLost,
    LoginRefused,
    NotBooted,
    NotConnected,
    OutcomeUnknown,
    ProtocolError,
    SessionClosed,
)
from dialer.asterisk.ami.message import Event, Malformed, Response
from dialer.asterisk.ami.pending import FOR_CONSUMER, Answer, PendingActions, Settled
from dialer.asterisk.ami.protocol import AmiProtocol
from dialer.asterisk.ami.version import check_version

_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiConfig:
    """Where Asterisk is and how patient we are. All times in seconds."""

    host: str = "127.0.0.1"
    port: int = 5038
    user: str
    secret: str = field(repr=False)
    auth: Literal["md5", "plain"] = "md5"
    name: str = "asterisk"
    """Names the tasks and log lines, when there are several nodes."""
    connect_timeout_s: float = 3.0
    login_timeout_s: float = 5.0
    boot_timeout_s: float = 10.0
    action_deadline_s: float = 5.0
    ping_interval_s: float = 5.0
    ping_deadline_s: float = 5.0
    reconnect_base_s: float = 0.1
    reconnect_cap_s: float = 3.0
    max_pending: int = 2_000
    max_events_queued: int = 20_000
    max_list_events: int = 20_000
    max_message_bytes: int = 1 << 20
    max_unsent_bytes: int = 1 << 20


@dataclass(slots=True)
class AmiCounters:
    """What happened since the client was made; for metrics and tests."""

    events: int = 0
    malformed: int = 0
    stragglers: int = 0
    sessions: int = 0
    sessions_lost: int = 0


class AmiConnection:
    """One session. Made by `open`; dead for good once `wait_lost` returns."""

    def __init__(
        self,
        config: AmiConfig,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[Event], None],
        counters: AmiCounters,
    ) -> None:
        self._config = config
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._counters = counters
        self._protocol = AmiProtocol(max_message_bytes=config.max_message_bytes)
        self._pending = PendingActions(bound=config.max_pending)
        self._futures: dict[str, asyncio.Future[Answer]] = {}
        self._serial = 0
        loop = asyncio.get_running_loop()
        self._lost: asyncio.Future[AmiError] = loop.create_future()
        self._greeted: asyncio.Future[None] = loop.create_future()
        self._booted: asyncio.Future[None] = loop.create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self.asterisk_version = ""
        self.system_name = ""

    @classmethod
    async def open(
        cls, config: AmiConfig, on_event: Callable[[Event], None], counters: AmiCounters | None = None
    ) -> AmiConnection:
        """Connect, log in, check the version, wait until Asterisk is fully booted.

        Events before that are not passed on: the consumer asks what is there when it is told that the session is ready.
        Errors: ConnectFailed, LoginRefused, UnsupportedAsterisk, NotBooted, ProtocolError.
        """
        try:
            async with asyncio.timeout(config.connect_timeout_s):
                reader, writer = await asyncio.open_connection(config.host, config.port)
        except (OSError, TimeoutError) as error:
            raise ConnectFailed(config.host, config.port, str(error) or "timed out") from error
        connection = cls(config, reader, writer, on_event, counters or AmiCounters())
        try:
            await connection._log_in()
        except BaseException:
            await connection._end(SessionClosed("login did not succeed"))
            raise
        return connection

    async def perform(
        self,
        action: Action,
        *,
        is_list: bool = False,
        deadline_s: float | None = None,
        action_id: str | None = None,
        max_events: int | None = None,
    ) -> Answer:
        """Send once, wait for the answer until the deadline. Errors: NotSent, ActionFailed, OutcomeUnknown, ListTooLong."""
        if self._lost.done():
            raise NotConnected("session lost")
        if self._writer.transport.get_write_buffer_size() > self._config.max_unsent_bytes:
            raise NotConnected("Asterisk does not read")
        if action_id is None:
            self._serial += 1
            action_id = f"w{self._serial}"
        wait_s = self._config.action_deadline_s if deadline_s is None else deadline_s
        bound = self._config.max_list_events if max_events is None else max_events
        data = self._protocol.send_action(action, action_id)
        self._pending.add(action, action_id, is_list=is_list, max_events=bound)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._futures[action_id] = future
        try:
            self._writer.write(data)
            async with asyncio.timeout(wait_s):
                return await future
        except TimeoutError:
            raise AnswerOverdue(action.name, wait_s) from None
        finally:
            if self._futures.pop(action_id, None) is not None:
                self._pending.abandon(action_id)

    async def send(self, action: Action, *, deadline_s: float | None = None, action_id: str | None = None) -> Response:
        """As `AmiClient.send`."""
        return (await self.perform(action, deadline_s=deadline_s, action_id=action_id)).response

    async def fetch(
        self, action: Action, *, deadline_s: float | None = None, max_events: int | None = None
    ) -> tuple[Event, ...]:
        """As `AmiClient.fetch`."""
        return (await self.perform(action, is_list=True, deadline_s=deadline_s, max_events=max_events)).events

    @property
    def lost(self) -> AmiError | None:
        """Why the session is gone, or None while it lives."""
        return self._lost.result() if self._lost.done() else None

    def call_when_lost(self, callback: Callable[[], None]) -> None:
        """Call back once when the session is gone (at once, if it is)."""
        self._lost.add_done_callback(lambda _: callback())

    async def wait_lost(self) -> AmiError:
        """Wait until the session is gone; gives the reason."""
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Say goodbye (Asterisk gets a second to answer), then close."""
        if not self._lost.done():
            with contextlib.suppress(AmiError):
                await self.perform(actions.logoff(), deadline_s=1.0)
        await self._end(SessionClosed("closed by us"))

    async def _log_in(self) -> None:
        config = self._config
        self._start(self._read(), "read")
        try:
            async with asyncio.timeout(config.login_timeout_s):
                await self._unless_lost(self._greeted)
                await self._authenticate()
                settings = (await self.perform(actions.core_settings())).response
        except (TimeoutError, OutcomeUnknown, NotConnected) as error:
            if isinstance(self.lost, ProtocolError):
                raise self.lost from None
            raise ConnectFailed(config.host, config.port, "no answer while logging in") from error
        except ActionFailed as error:
            raise LoginRefused(config.user, f"CoreSettings: {error.response.message}") from error
        self.asterisk_version = settings.get("AsteriskVersion")
        self.system_name = settings.get("SystemName")
        check_version(self.asterisk_version)
        try:
            async with asyncio.timeout(config.boot_timeout_s):
                await self._unless_lost(self._booted)
        except TimeoutError:
            raise NotBooted(config.boot_timeout_s) from None
        self._start(self._keep_alive(), "ping")

    async def _authenticate(self) -> None:
        config = self._config
        try:
            if config.auth == "md5":
                challenge = (await self.perform(actions.challenge())).response.get("Challenge")
                await self.perform(actions.login_with_challenge(config.user, config.secret, challenge))
            else:
                await self.perform(actions.login_with_secret(config.user, config.secret))
        except ActionFailed as error:
            raise LoginRefused(config.user, error.response.message) from error

    def _start(self, work: Coroutine[object, object, None], what: str) -> None:
        """Run `work` as a named task of this session; its end, however it comes, is the end of the session."""
        task = asyncio.get_running_loop().create_task(work, name=f"ami-{what} {self._config.name}")
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._lose(SessionClosed("stopped"))
        elif (error := task.exception()) is None:
            self._lose(SessionClosed("Asterisk closed the session"))
        elif isinstance(error, AmiError):
            self._lose(error)
        else:
            self._lose(SessionClosed(f"{type(error).__name__}: {error}"))

    async def _unless_lost(self, happening: asyncio.Future[None]) -> None:
        either: tuple[asyncio.Future[Any], ...] = (happening, self._lost)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._lost.done():
            raise NotConnected("session lost")

    async def _read(self) -> None:
        read = self._reader.read
        while data := await read(_READ_BYTES):
            for message in self._protocol.receive_data(data):
                if isinstance(message, Event):
                    self._counters.events += 1
                    self._sort(message)
                elif isinstance(message, Response):
                    self._sort(message)
                elif isinstance(message, Malformed):
                    self._counters.malformed += 1
                elif not self._greeted.done():
                    self._greeted.set_result(None)
        self._protocol.receive_eof()

    def _sort(self, message: Event | Response) -> None:
        before = self._pending.stragglers
        fate = self._pending.feed(message)
        self._counters.stragglers += self._pending.stragglers - before
        if isinstance(fate, Settled):
            future = self._futures.pop(fate.action_id, None)
            if future is not None and not future.done():
                if isinstance(fate.result, Answer):
                    future.set_result(fate.result)
                else:
                    future.set_exception(fate.result)
        elif fate is FOR_CONSUMER and isinstance(message, Event):
            if not self._booted.done() and message.name == "FullyBooted":
                self._booted.set_result(None)
            self._on_event(message)

    async def _keep_alive(self) -> None:
        config = self._config
        while True:
            await asyncio.sleep(config.ping_interval_s)
            await self.perform(actions.ping(), deadline_s=config.ping_deadline_s)

    def _lose(self, reason: AmiError) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)
        waiting = self._pending.abandon_all()
        for action_id, action in waiting.items():
            future = self._futures.pop(action_id, None)
            if future is not None and not future.done():
                future.set_exception(ConnectionLost(action.name, reason.message))

    async def _end(self, reason: AmiError) -> None:
        self._lose(reason)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def ami_session(
    config: AmiConfig, on_event: Callable[[Event], None] = lambda _: None
) -> AsyncIterator[AmiConnection]:
    """One session that is not reconnected, for doctor, provisioning from the command line and tests.

    Errors: as `AmiConnection.open`.
    """
    connection = await AmiConnection.open(config, on_event)
    try:
        yield connection
    finally:
        await connection.close()

"""The FastAGI server: one connection, one call, one task.

    server = AgiServer(Routes({"/call/answered": answered}), AgiServerConfig(port=4573))
    await server.start()
    ...
    await server.stop()

Whatever goes wrong with one call (an exception in the handler, a deadline, a peer that talks nonsense) closes that connection
and touches no other; Asterisk then finds no WAIHU_ACTION on the channel and its dialplan goes to the safe harbour.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import structlog

from agi.errors import AgiError, PeerGone
from agi.protocol import AgiProtocol, Environment
from agi.routes import AgiRequest, Handler, Routes
from agi.session import AgiSession

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiServerConfig:
    """Where to listen and how patient we are. All times in seconds."""

    host: str = "127.0.0.1"
    port: int = 4573
    """0 takes any free port; see `AgiServer.port`."""
    environment_deadline_s: float = 2.0
    command_deadline_s: float = 5.0
    call_deadline_s: float = 60.0
    drain_s: float = 5.0
    max_connections: int = 1_000
    max_unsent_bytes: int = 64 << 10
    backlog: int = 512


@dataclass(slots=True)
class AgiCounters:
    """What happened since the server was made; for metrics and tests."""

    accepted: int = 0
    refused_full: int = 0
    answered: int = 0
    no_route: int = 0
    handler_failed: int = 0
    overdue: int = 0
    protocol_errors: int = 0
    peer_gone: int = 0


class AgiServer:
    """Listens for Asterisk, and gives each question to its route's handler."""

    def __init__(self, routes: Routes, config: AgiServerConfig) -> None:
        self.routes = routes
        self.config = config
        self.counters = AgiCounters()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._port: int | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._port is None:
            raise RuntimeError("the FastAGI server was not started")
        return self._port

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Errors: OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), self.config.host, self.config.port, backlog=self.config.backlog
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more calls, let those in flight end within `drain_s`, then cut the rest. Idempotent."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.drop_if_silent()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.config.drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()

    # --- called by the connections ---

    def opened(self, connection: _Connection) -> bool:
        """Room for one more?"""
        if self._stopping or len(self._connections) >= self.config.max_connections:
            self.counters.refused_full += 1
            return False
        self.counters.accepted += 1
        self._connections.add(connection)
        return True

    def closed(self, connection: _Connection) -> None:
        """One less."""
        self._connections.discard(connection)

    def serve(self, connection: _Connection, session: AgiSession, request: AgiRequest) -> None:
        """Start the call's task."""
        handler = self.routes.find(request.path)
        if handler is None:
            self.counters.no_route += 1
            _log.warning("AGI request for an unknown route", path=request.path[:80], channel_id=request.channel_id)
            connection.close()
            return
        name = f"agi {request.path} {request.channel_id}"
        task = asyncio.get_running_loop().create_task(self._answer(connection, session, request, handler), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, connection: _Connection, session: AgiSession, request: AgiRequest, handler: Handler
    ) -> None:
        log = _log.bind(path=request.path, channel_id=request.channel_id)
        deadline = asyncio.timeout(self.config.call_deadline_s)
        try:
            async with deadline:
                await handler(session, request)
            self.counters.answered += 1
        except TimeoutError:
            if deadline.expired():
                self.counters.overdue += 1
                log.warning("AGI handler took too long", deadline_s=self.config.call_deadline_s)
            else:
                self.counters.handler_failed += 1
                log.exception("AGI handler failed")
        except PeerGone as error:
            self.counters.peer_gone += 1
            log.info("Asterisk left before the answer", step=error.step)
        except AgiError as error:
            self.counters.handler_failed += 1
            log.warning("AGI handler could not answer", error_id=error.error_id, reason=error.message)
        except Exception:
            self.counters.handler_failed += 1
            log.exception("AGI handler failed")
        finally:
            connection.close()


class _Connection(asyncio.Protocol):
    """One TCP connection from Asterisk: feeds the protocol, no task of its own."""

    def __init__(self, server: AgiServer) -> None:
        self._server = server
        self._protocol = AgiProtocol()
        self._transport: asyncio.Transport | None = None
        self._session: AgiSession | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.opened(self):
            self.abort()
            return
        wait_s = self._server.config.environment_deadline_s
        self._silence = asyncio.get_running_loop().call_later(wait_s, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            items = self._protocol.receive_data(data)
        except AgiError as error:
            self._server.counters.protocol_errors += 1
            _log.warning("AGI peer does not speak AGI", error_id=error.error_id, reason=error.message)
            self._fail(error)
            return
        for item in items:
            if isinstance(item, Environment):
                self._begin(item)
            elif self._session is not None:
                self._session.deliver(item)

    def eof_received(self) -> bool:
        try:
            self._protocol.receive_eof()
        except AgiError as error:
            self._fail(error)
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._silence_ended()
        self._server.closed(self)
        self.eof_received()

    def write(self, data: bytes) -> None:
        """Send one command; a peer that does not read is cut."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self._server.config.max_unsent_bytes:
            self.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        """We are done: the dialplan goes on."""
        self._closing = True
        self._protocol.close()
        self._silence_ended()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut."""
        if self._transport is not None:
            self._transport.abort()

    def drop_if_silent(self) -> None:
        """Cut when no question was asked yet."""
        if self._session is None:
            self.abort()

    def _begin(self, environment: Environment) -> None:
        self._silence_ended()
        session = AgiSession(self._protocol, self.write, command_deadline_s=self._server.config.command_deadline_s)
        self._session = session
        self._server.serve(self, session, AgiRequest.of(environment))

    def _fail(self, error: AgiError) -> None:
        if self._session is not None:
            self._session.fail(error)
        self.abort()

    def _silence_ended(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

"""The FastAGI server: one call's trouble is nobody else's, every wait ends, and a stop lets calls finish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agi.errors import AgiError, ChannelHungUp, CommandOverdue, CommandRefused, PeerGone, UnsafeArgument
from agi.routes import AgiRequest, Handler, Routes
from agi.server import AgiServer, AgiServerConfig
from agi.session import AgiSession
from lab.waiting import wait_until

pytestmark = pytest.mark.usefixtures("loop_guard")

DEADLINE_S = 5.0


def environment(path: str = "call/answered", channel_id: str = "call-1") -> bytes:
    return f"agi_network: yes\nagi_network_script: {path}\nagi_uniqueid: {channel_id}\n\n".encode()


class Asker:
    """Asterisk's side of one connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def line(self) -> str:
        """The next command, or an empty text at the end."""
        async with asyncio.timeout(DEADLINE_S):
            return (await self.reader.readline()).decode().rstrip("\n")

    async def closed(self) -> None:
        """Wait until the server closes."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                while await self.reader.read(1_000):
                    pass
            except ConnectionError:
                return

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\n" for line in lines).encode())


@asynccontextmanager
async def serving(handler: Handler, **changes: object) -> AsyncIterator[AgiServer]:
    """A server with one route, /call/answered."""
    settings = AgiServerConfig(
        port=0, environment_deadline_s=5, command_deadline_s=5, call_deadline_s=10, drain_s=0.3, max_connections=20
    )
    server = AgiServer(Routes({"/call/answered": handler}), replace(settings, **changes))  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def asking(server: AgiServer, first: bytes | None = None) -> AsyncIterator[Asker]:
    """A connection that has asked."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(environment() if first is None else first)
    try:
        yield Asker(reader, writer)
    finally:
        writer.transport.abort()


async def choose_hangup(session: AgiSession, _request: AgiRequest) -> None:
    """The simplest answer."""
    await session.set_variable("WAIHU_ACTION", "hangup")


def recording(work: Callable[[AgiSession], Awaitable[object]]) -> tuple[Handler, list[object]]:
    """A handler that notes what `work` gave or raised."""
    results: list[object] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        try:
            results.append(await work(session))
        except Exception as error:
            results.append(error)
            raise

    return handler, results


async def test_a_question_is_answered_and_the_connection_closed() -> None:
    async with serving(choose_hangup) as server, asking(server) as asker:
        assert await asker.line() == 'SET VARIABLE "WAIHU_ACTION" "hangup"'
        asker.say("200 result=1")
        assert await asker.line() == ""
        await wait_until(lambda: server.counters.answered == 1, timeout_s=DEADLINE_S, what="the count")
        assert server.connections == 0


async def test_variables_are_read_with_their_absence() -> None:
    async def work(session: AgiSession) -> list[str | None]:
        return [await session.get_variable(name) for name in ("A", "B", "C")]

    handler, results = recording(work)
    async with serving(handler) as server, asking(server) as asker:
        for reply in ("200 result=1 (one (1))", "200 result=0", "200 result=1 ()"):
            await asker.line()
            asker.say(reply)
        await asker.closed()
    assert results == [["one (1)", None, ""]]


async def test_an_unknown_route_is_closed_without_an_answer_and_counted() -> None:
    async with serving(choose_hangup) as server, asking(server, environment("no/such")) as asker:
        assert await asker.line() == ""
        assert server.counters.no_route == 1


async def test_a_handler_that_fails_closes_its_own_connection_only() -> None:
    async def handler(session: AgiSession, request: AgiRequest) -> None:
        if request.channel_id == "call-bad":
            raise KeyError("bug")
        await choose_hangup(session, request)

    async with (
        serving(handler) as server,
        asking(server) as good,
        asking(server, environment(channel_id="call-bad")) as bad,
    ):
        assert await bad.line() == ""
        assert await good.line() == 'SET VARIABLE "WAIHU_ACTION" "hangup"'
        good.say("200 result=1")
        await good.closed()
        await wait_until(lambda: server.counters.answered == 1, timeout_s=DEADLINE_S, what="the good call")
        assert server.counters.handler_failed == 1


async def test_a_peer_that_connects_and_says_nothing_is_cut_at_the_deadline() -> None:
    async with serving(choose_hangup, environment_deadline_s=0.1) as server, asking(server, b"") as asker:
        await asker.closed()
        assert server.connections == 0


async def test_a_peer_that_sends_half_an_environment_is_cut_at_the_deadline() -> None:
    async with (
        serving(choose_hangup, environment_deadline_s=0.1) as server,
        asking(server, environment()[:-1]) as asker,
    ):
        await asker.closed()
        assert server.counters.answered == 0


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, b"x" * 100_000, b"\n\n\n", b"agi_a: 1\nagi_a: 2\n\n"]
)
async def test_a_peer_that_talks_nonsense_is_cut(garbage: bytes) -> None:
    async with serving(choose_hangup, environment_deadline_s=60) as server:
        async with asking(server, garbage) as asker:
            await asker.closed()
        await wait_until(lambda: server.connections == 0, timeout_s=DEADLINE_S, what="no connection left")
        assert server.counters.answered == 0


async def test_a_peer_that_closes_early_ends_the_handler_at_once() -> None:
    """The loop that spins for ever in other servers."""
    handler, results = recording(lambda session: session.get_variable("A"))
    async with serving(handler, command_deadline_s=60, call_deadline_s=60) as server:
        async with asking(server) as asker:
            await asker.line()
        await wait_until(lambda: results, timeout_s=DEADLINE_S, what="the handler's end")
        assert isinstance(results[0], PeerGone)
        await wait_until(lambda: server.connections == 0, timeout_s=DEADLINE_S, what="no connection left")


@pytest.mark.parametrize("cut", range(0, len(environment()) + 1, 6))
async def test_a_peer_that_closes_anywhere_in_the_environment_leaves_nothing(cut: int) -> None:
    async with serving(choose_hangup) as server:
        async with asking(server, environment()[:cut]) as asker:
            asker.writer.write_eof()
            await asker.closed()
        await wait_until(lambda: server.connections == 0, timeout_s=DEADLINE_S, what="no connection left")


async def test_a_command_without_reply_is_overdue() -> None:
    handler, results = recording(lambda session: session.noop())
    async with serving(handler, command_deadline_s=0.1) as server, asking(server) as asker:
        assert await asker.line() == "NOOP"
        await asker.closed()
    assert isinstance(results[0], CommandOverdue)


async def test_a_handler_over_its_deadline_is_stopped_and_its_call_released() -> None:
    async def forever(_session: AgiSession, _request: AgiRequest) -> None:
        await asyncio.Event().wait()

    async with serving(forever, call_deadline_s=0.1) as server, asking(server) as asker:
        await asker.closed()
        await wait_until(lambda: server.counters.overdue == 1, timeout_s=DEADLINE_S, what="the count")


async def test_a_timeout_inside_a_handler_is_the_handlers_failure_not_the_deadline() -> None:
    async def impatient(_session: AgiSession, _request: AgiRequest) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async with serving(impatient) as server, asking(server) as asker:
        await asker.closed()
        await wait_until(lambda: server.counters.handler_failed == 1, timeout_s=DEADLINE_S, what="the count")
        assert server.counters.overdue == 0


async def test_a_handler_learns_of_the_hangup_while_it_waits() -> None:
    async def work(session: AgiSession) -> str:
        await session.wait_hung_up()
        assert session.hung_up
        return "told"

    handler, results = recording(work)
    async with serving(handler) as server, asking(server) as asker:
        asker.say("HANGUP")
        await asker.closed()
    assert results == ["told"]


async def test_after_a_hangup_variables_can_be_set_and_nothing_else() -> None:
    async def work(session: AgiSession) -> str:
        await session.wait_hung_up()
        await session.set_variable("WAIHU_RESULT", "gone")
        await session.stream_file("beep")
        return "played"

    handler, results = recording(work)
    async with serving(handler) as server, asking(server) as asker:
        asker.say("HANGUP")
        assert await asker.line() == 'SET VARIABLE "WAIHU_RESULT" "gone"'
        asker.say("200 result=1")
        await asker.closed()
    assert isinstance(results[0], ChannelHungUp)


@pytest.mark.parametrize("reply", ["510 Invalid or unknown command", "511 Command Not Permitted", "520-Usage\n520 End"])
async def test_a_refused_command_says_so(reply: str) -> None:
    handler, results = recording(lambda session: session.noop())
    async with serving(handler) as server, asking(server) as asker:
        await asker.line()
        asker.say(reply)
        await asker.closed()
    assert isinstance(results[0], CommandRefused)
    assert results[0].code == int(reply[:3])


async def test_a_command_that_fails_on_the_channel_says_so() -> None:
    handler, results = recording(lambda session: session.answer())
    async with serving(handler) as server, asking(server) as asker:
        assert await asker.line() == "ANSWER"
        asker.say("200 result=-1")
        await asker.closed()
    assert isinstance(results[0], CommandRefused)


@pytest.mark.parametrize("name", ["A B", "SHELL(id)", "A\nHANGUP", "", "A=1"])
async def test_only_plain_variables_can_be_set(name: str) -> None:
    handler, results = recording(lambda session: session.set_variable(name, "x"))
    async with serving(handler) as server, asking(server) as asker:
        assert await asker.line() == ""
    assert isinstance(results[0], UnsafeArgument)


async def test_a_reply_to_no_question_ends_the_call() -> None:
    handler, results = recording(lambda session: session.wait_hung_up())
    async with serving(handler) as server, asking(server) as asker:
        await wait_until(lambda: server._tasks, timeout_s=DEADLINE_S, what="the call's task")
        asker.say("200 result=1")
        await asker.closed()
        assert server.counters.protocol_errors == 1
        await wait_until(lambda: results == [None], timeout_s=DEADLINE_S, what="the handler told")


async def test_more_connections_than_the_bound_are_refused_and_the_rest_served() -> None:
    release = asyncio.Event()

    async def wait(session: AgiSession, request: AgiRequest) -> None:
        await release.wait()
        await choose_hangup(session, request)

    async with serving(wait, max_connections=2) as server, asking(server) as first, asking(server) as second:
        await wait_until(lambda: server.connections == 2, timeout_s=DEADLINE_S, what="two connections")
        async with asking(server) as third:
            await third.closed()
        assert server.counters.refused_full == 1
        release.set()
        for asker in (first, second):
            assert await asker.line() == 'SET VARIABLE "WAIHU_ACTION" "hangup"'


async def test_each_call_is_one_named_task() -> None:
    names: list[str] = []

    async def handler(_session: AgiSession, _request: AgiRequest) -> None:
        task = asyncio.current_task()
        names.append(task.get_name() if task else "")

    before = asyncio.all_tasks()
    async with serving(handler) as server, asking(server) as asker:
        await asker.closed()
        assert names == ["agi /call/answered call-1"]
        await wait_until(lambda: not (asyncio.all_tasks() - before), timeout_s=DEADLINE_S, what="the task's end")


async def test_two_hundred_calls_at_once_are_all_answered() -> None:
    async def one(server: AgiServer, n: int) -> str:
        async with asking(server, environment(channel_id=f"call-{n}")) as asker:
            line = await asker.line()
            asker.say("200 result=1")
            await asker.closed()
            return line

    async with serving(choose_hangup, max_connections=500, command_deadline_s=5, environment_deadline_s=5) as server:
        lines = await asyncio.gather(*(one(server, n) for n in range(200)))
        assert set(lines) == {'SET VARIABLE "WAIHU_ACTION" "hangup"'}
        await wait_until(lambda: server.counters.answered == 200, timeout_s=DEADLINE_S, what="200 answers")


async def test_stop_takes_no_new_calls_and_lets_those_in_flight_end() -> None:
    async with serving(choose_hangup, drain_s=5, command_deadline_s=5) as server, asking(server) as asker:
        assert await asker.line() == 'SET VARIABLE "WAIHU_ACTION" "hangup"'
        stopping = asyncio.get_running_loop().create_task(server.stop(), name="stopping")
        with pytest.raises(OSError, match="Connect call failed"):
            await _connect_until_refused(server)
        assert not stopping.done()
        asker.say("200 result=1")
        async with asyncio.timeout(DEADLINE_S):
            await stopping
        assert server.counters.answered == 1


async def _connect_until_refused(server: AgiServer) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.transport.abort()


async def test_stop_cuts_what_does_not_end_in_time() -> None:
    async def forever(_session: AgiSession, _request: AgiRequest) -> None:
        await asyncio.Event().wait()

    async with serving(forever, drain_s=0.05, call_deadline_s=60) as server, asking(server) as asker:
        await wait_until(lambda: server._tasks, timeout_s=DEADLINE_S, what="the call's task")
        await server.stop()
        await asker.closed()
        assert not server._tasks
        assert server.connections == 0


async def test_errors_have_ids_and_sentences() -> None:
    for error in (PeerGone("idle"), ChannelHungUp(), CommandOverdue("NOOP", 1), CommandRefused("NOOP", 510, "x")):
        assert isinstance(error, AgiError)
        assert error.error_id.startswith("agi_")
        assert error.message

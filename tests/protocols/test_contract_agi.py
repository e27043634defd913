"""What we rely on in FastAGI: every promise holds when the fake asks our server and when the real Asterisk does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agi.errors import CommandRefused
from agi.protocol import MAX_COMMAND_BYTES
from agi.routes import AgiRequest, Handler, Routes
from agi.server import AgiServer, AgiServerConfig
from agi.session import AgiSession
from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.events import Hangup, UserEvent
from lab.ports import free_port
from tests.protocols.test_contract_ami import DEADLINE_S, HOSTILE_TEXTS, ami, call, channel_id, wait_for

__all__ = ["ami"]

pytestmark = pytest.mark.usefixtures("loop_guard")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[AgiServer]:
    """Our server with one route."""
    settings = AgiServerConfig(port=0, call_deadline_s=DEADLINE_S, drain_s=1)
    server = AgiServer(Routes({"/call/answered": handler}), settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(client: AmiClient, agi_port: int, *, near: str = "ask", **variables: str) -> str:
    """A call whose dialplan asks the server at `agi_port`; gives its channel id."""
    our_id = channel_id()
    await client.send(call(our_id, {"TEST_AGI": f"127.0.0.1:{agi_port}", **variables}, near=near))
    return our_id


async def test_the_question_carries_our_channel_id_route_and_arguments(ami: AmiClient) -> None:
    asked: list[AgiRequest] = []

    async def handler(_session: AgiSession, request: AgiRequest) -> None:
        asked.append(request)

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    (request,) = asked
    assert request.channel_id == our_id
    assert request.path == "/call/answered"
    assert dict(request.query) == {"round": "1"}
    assert request.arguments == ("first", "second one")
    assert request.channel.startswith("Local/")
    assert request.environment.get("network") == "yes"


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_a_variable_is_set_exactly_and_not_evaluated(ami: AmiClient, text: str) -> None:
    read_back: list[str | None] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variable("TEXT", text)
        read_back.append(await session.get_variable("TEXT"))

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert [value or "" for value in read_back] == [text]  # Asterisk may forget a variable that is empty
    assert (await ami.send(actions.get_variable(our_id, "TEXT"))).get("Value") == text


async def test_the_longest_command_that_we_send_is_understood_whole(ami: AmiClient) -> None:
    text = "x" * (MAX_COMMAND_BYTES - len('SET VARIABLE "TEXT" ""\n'))

    lengths: list[str | None] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variable("TEXT", text)
        lengths.append(await session.get_full_variable("${LEN(${TEXT})}"))

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
        assert server.counters.answered == 1
    assert lengths == [str(len(text))]


async def test_a_longer_command_would_be_read_as_two(ami: AmiClient) -> None:
    replies: asyncio.Queue[bytes] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline() != b"\n":
            pass
        # What is cut off is obeyed as a command of its own: hence our limit.
        writer.write(b'SET VARIABLE "TEXT" "' + b"x" * 9_000 + b'"\n')
        for _ in range(2):
            await replies.put(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, asyncio.timeout(DEADLINE_S):
        await ask(ami, server.sockets[0].getsockname()[1])
        assert await replies.get() == b"200 result=1\n"
        assert (await replies.get()).startswith(b"510 ")


async def test_asterisk_gives_no_more_of_a_variable_than_1023_bytes(ami: AmiClient) -> None:
    read: list[str | None] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variable("TEXT", "y" * 1_500)
        read.append(await session.get_variable("TEXT"))

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert read == ["y" * 1_023]
    assert (await ami.send(actions.get_variable(our_id, "TEXT"))).get("Value") == "y" * 1_023


async def test_the_dialplan_goes_on_with_what_the_handler_chose(ami: AmiClient) -> None:
    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variable("WAIHU_ACTION", "safe_harbour")

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        done = await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert (done.headers["Status"], done.headers["Action"]) == ("SUCCESS", "safe_harbour")


async def test_a_variable_that_is_not_set_reads_as_none(ami: AmiClient) -> None:
    values: list[str | None] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        values.extend([await session.get_variable("WAIHU_ATTEMPT"), await session.get_variable("NOBODY_SET_THIS")])

    async with serving(handler) as server:
        our_id = await ask(ami, server.port, WAIHU_ATTEMPT="0123")
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert values == ["0123", None]


async def test_other_commands_are_understood(ami: AmiClient) -> None:
    states: list[int] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.noop()
        await session.verbose('a "quoted" line')
        states.append(await session.channel_status())

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
        assert server.counters.answered == 1
    assert states == [6]


@pytest.mark.parametrize(("words", "code"), [(("NO SUCH COMMAND",), 510), (("SET VARIABLE", "A"), 520)])
async def test_a_wrong_command_is_refused_and_the_next_is_understood(
    ami: AmiClient, words: tuple[str, ...], code: int
) -> None:
    codes: list[int] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        try:
            await session.command(*words)
        except CommandRefused as error:
            codes.append(error.code)
        await session.noop()

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
        assert server.counters.answered == 1
    assert codes == [code]


@pytest.mark.parametrize("value", ["PJSIP/phone-00000001", "a,WAIHU_OTHER=b", 'two words and "quotes"', "${EXTEN}"])
async def test_several_variables_are_set_to_exactly_their_values(ami: AmiClient, value: str) -> None:
    heard: list[str | None] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variables({"WAIHU_SEAT": value, "WAIHU_ACTION": "bridge"})
        heard.extend([await session.get_variable(name) for name in ("WAIHU_SEAT", "WAIHU_ACTION", "WAIHU_OTHER")])

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert heard == [value, "bridge", None]


async def test_an_unknown_application_is_refused(ami: AmiClient) -> None:
    refused: list[str] = []

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        try:
            await session.execute("NoSuchApplication")
        except CommandRefused as error:
            refused.append(error.command)

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert refused == ["EXEC NoSuchApplication"]


async def test_the_handler_can_hang_up(ami: AmiClient) -> None:
    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.hangup()

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        await wait_for(ami, Hangup, our_id)


async def test_a_waiting_handler_is_told_of_the_hangup_and_can_still_set_variables(ami: AmiClient) -> None:
    told, waiting = asyncio.Event(), asyncio.Event()

    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        waiting.set()
        await session.wait_hung_up()
        await session.set_variable("WAIHU_RESULT", "gone")
        told.set()

    async with serving(handler) as server, asyncio.timeout(DEADLINE_S):
        our_id = await ask(ami, server.port)
        await waiting.wait()
        await ami.send(actions.hangup(our_id))
        await told.wait()
        await wait_for(ami, Hangup, our_id)


async def test_a_handler_that_fails_lets_the_dialplan_go_on_without_an_action(ami: AmiClient) -> None:
    async def handler(_session: AgiSession, _request: AgiRequest) -> None:
        raise RuntimeError("bug")

    async with serving(handler) as server:
        our_id = await ask(ami, server.port)
        done = await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert done.headers["Action"] == ""


async def test_a_route_that_nobody_answers_lets_the_dialplan_go_on_without_an_action(ami: AmiClient) -> None:
    async def handler(session: AgiSession, _request: AgiRequest) -> None:
        await session.set_variable("WAIHU_ACTION", "bridge")

    async with serving(handler) as server:
        our_id = await ask(ami, server.port, near="ask_nowhere")
        done = await wait_for(ami, UserEvent, our_id, name="AgiDone")
        assert server.counters.no_route == 1
    assert done.headers["Action"] == ""


async def test_a_server_that_is_not_there_lets_the_dialplan_go_on_with_failure(ami: AmiClient) -> None:
    our_id = await ask(ami, free_port())
    done = await wait_for(ami, UserEvent, our_id, name="AgiDone")
    assert (done.headers["Status"], done.headers["Action"]) == ("FAILURE", "")


async def test_fifty_calls_at_once_are_each_answered_with_their_own(ami: AmiClient) -> None:
    async def handler(session: AgiSession, request: AgiRequest) -> None:
        await session.set_variable("WAIHU_ACTION", request.channel_id)

    async with serving(handler) as server:
        ours = {await ask(ami, server.port) for _ in range(50)}
        answers: dict[str, str] = {}
        while len(answers) < len(ours):
            done = await wait_for(ami, UserEvent, name="AgiDone")
            answers[done.channel_id] = done.headers["Action"]
    assert answers == {our_id: our_id for our_id in ours}

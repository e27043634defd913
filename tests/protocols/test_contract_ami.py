"""What we rely on in AMI: every promise holds on the fake and on the real Asterisk, so that the fake cannot lie."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from random import Random
from typing import TypeVar

import pytest

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient, Event
from dialer.asterisk.ami.connection import ami_session
from dialer.asterisk.ami.errors import ActionFailed, LoginRefused
from dialer.asterisk.ami.events import Hangup, NewState, OriginateResponse, UserEvent, channel_row, view
from dialer.asterisk.ami.protocol import MAX_LINE_BYTES, MAX_LINES
from dialer.asterisk.ami.text import caller_id
from tests.protocols.conftest import Peer

pytestmark = pytest.mark.usefixtures("loop_guard")

DEADLINE_S = 10.0
Typed = TypeVar("Typed")

HOSTILE_TEXTS = [
    "plain",
    "",
    "a,B=stolen",
    "comma, space and trailing,",
    'one " quote',
    '"quoted"',
    'back\\slash \\, \\" \\\\',
    "(open",
    "close)",
    "[brackets] ][",
    "${EXTEN} ${SHELL(id)} ${GLOBAL(X)}",
    "$[1+1] $[${EXTEN}+1]",
    "a=b=c",
    "semi;colon #hash `tick` 'single' |pipe &and <angle>",
    "外呼 客户,张三（测试）“引号”",
    " \ttabs and blanks \t ",
    "e\u0301\u200b\U0001f4de",
    "^{EXTEN} ~~s~~ %41 %0d%0a \\r\\n",
    "x" * 900,
]


@pytest.fixture
async def ami(peer: Peer) -> AsyncIterator[AmiClient]:
    """A client that is logged in; what it originated is hung up at the end."""
    async with AmiClient(peer.config(), random=Random(1)) as client:
        await client.wait_connected(DEADLINE_S)
        yield client
        for event in await client.fetch(actions.core_show_channels()):
            try:
                await client.send(actions.hangup(channel_row(event).channel_id))
            except ActionFailed:
                continue


def channel_id() -> str:
    """A channel id of ours that nobody used."""
    return f"call-{secrets.token_hex(16)}"


def call(
    our_id: str, variables: Mapping[str, str] | None = None, *, far: str = "wait", near: str = "wait", ring_s: float = 5
) -> actions.Action:
    """An Originate between two extensions of conf/extensions.conf."""
    return actions.originate(
        channel=f"Local/{far}@contract/n",
        channel_id=our_id,
        other_channel_id=f"{our_id}-far",
        context="contract",
        exten=near,
        ring_timeout_s=ring_s,
        caller_id=caller_id("+861012345678"),
        variables=variables or {},
    )


async def wait_for(client: AmiClient, kind: type[Typed], our_id: str = "", **wanted: object) -> Typed:
    """The next event of this kind (and channel, and fields); everything else is passed over."""
    if our_id:
        wanted["channel_id"] = our_id
    async with asyncio.timeout(DEADLINE_S):
        async for item in client.items():
            seen = view(item) if isinstance(item, Event) else None
            if isinstance(seen, kind) and all(getattr(seen, name) == value for name, value in wanted.items()):
                return seen
    raise AssertionError("the client was closed")


async def failed_call(client: AmiClient, our_id: str) -> tuple[OriginateResponse, Hangup]:
    """Both ways in which a call that failed is reported. Asterisk sends them from two threads: either may be the first."""
    answer: OriginateResponse | None = None
    ended: Hangup | None = None
    async with asyncio.timeout(DEADLINE_S):
        async for item in client.items():
            match view(item) if isinstance(item, Event) else None:
                case OriginateResponse(channel_id=channel) as seen if channel == our_id:
                    answer = seen
                case Hangup(channel_id=channel) as seen if channel == our_id:
                    ended = seen
            if answer and ended:
                return answer, ended
    raise AssertionError("the client was closed")


async def answered_call(client: AmiClient, **variables: str) -> str:
    """A call that is up; gives its channel id."""
    our_id = channel_id()
    await client.send(call(our_id, variables))
    assert (await wait_for(client, OriginateResponse, our_id)).answered
    return our_id


@pytest.mark.parametrize("auth", ["md5", "plain"])
async def test_login_is_accepted_and_names_the_version(peer: Peer, auth: str) -> None:
    async with ami_session(peer.config(auth=auth)) as session:
        assert session.asterisk_version.startswith("22.")
        assert (await session.send(actions.ping())).get("Ping") == "Pong"


@pytest.mark.parametrize("auth", ["md5", "plain"])
async def test_a_wrong_secret_is_refused_with_the_users_name(peer: Peer, auth: str) -> None:
    config = peer.config(auth=auth)
    wrong = type(config)(port=peer.port, user="waihu", secret="wrong", auth=config.auth)
    with pytest.raises(LoginRefused) as caught:
        async with ami_session(wrong):
            pass
    assert "waihu" in caught.value.message
    assert "wrong" not in caught.value.message


async def test_an_unknown_action_is_refused(ami: AmiClient) -> None:
    with pytest.raises(ActionFailed) as caught:
        await ami.send(actions.Action(name="Nonsense"))
    assert "Nonsense" in caught.value.message


async def test_answers_reach_the_one_who_asked(ami: AmiClient) -> None:
    await asyncio.gather(*(ami.send(actions.set_variable(None, f"N{n}", str(n))) for n in range(50)))
    answers = await asyncio.gather(*(ami.send(actions.get_variable(None, f"N{n}")) for n in range(50)))
    assert [answer.get("Value") for answer in answers] == [str(n) for n in range(50)]


async def test_originate_answers_queued_then_reports_the_answer_with_our_channel_and_action_id(ami: AmiClient) -> None:
    our_id, action_id = channel_id(), secrets.token_hex(16)
    response = await ami.send(call(our_id), action_id=action_id)
    assert response.action_id == action_id
    assert "queued" in response.message
    result = await wait_for(ami, OriginateResponse, our_id)
    assert (result.answered, result.reason, result.action_id) == (True, 4, action_id)


async def test_an_answer_is_also_seen_as_newstate_up(ami: AmiClient) -> None:
    our_id = channel_id()
    await ami.send(call(our_id))
    assert (await wait_for(ami, NewState, our_id, state=6)).is_up


async def test_a_busy_call_reports_a_failure_and_a_hangup_with_its_cause(ami: AmiClient) -> None:
    our_id = channel_id()
    await ami.send(call(our_id, far="busy"))
    result, ended = await failed_call(ami, our_id)
    assert not result.answered
    assert ended.cause == 17


async def test_a_call_that_nobody_answers_ends_at_its_ring_timeout(ami: AmiClient) -> None:
    our_id = channel_id()
    await ami.send(call(our_id, far="ring", ring_s=0.3))
    result, _ = await failed_call(ami, our_id)
    assert not result.answered
    assert result.reason == 3


async def test_a_call_to_nowhere_reports_a_failure_with_our_channel_id(ami: AmiClient) -> None:
    our_id = channel_id()
    await ami.send(call(our_id, far="nowhere"))
    assert not (await wait_for(ami, OriginateResponse, our_id)).answered


async def test_a_channel_id_in_use_cannot_be_dialled_a_second_time(ami: AmiClient) -> None:
    our_id = await answered_call(ami)
    await ami.send(call(our_id), action_id="second")
    result = await wait_for(ami, OriginateResponse, action_id="second")
    assert not result.answered
    rows = [channel_row(event) for event in await ami.fetch(actions.core_show_channels())]
    assert [row.channel_id for row in rows].count(our_id) == 1


async def test_hangup_by_our_channel_id_reports_the_cause_we_gave(ami: AmiClient) -> None:
    our_id = await answered_call(ami)
    await ami.send(actions.hangup(our_id, cause=16))
    ended = await wait_for(ami, Hangup, our_id)
    assert (ended.cause, ended.cause_text) == (16, "Normal Clearing")


async def test_hangup_of_a_channel_that_is_gone_is_refused(ami: AmiClient) -> None:
    with pytest.raises(ActionFailed) as caught:
        await ami.send(actions.hangup(channel_id()))
    assert caught.value.response.message == "No such channel"


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_a_variable_of_originate_reaches_the_channel_exactly_and_alone(ami: AmiClient, text: str) -> None:
    our_id = await answered_call(ami, TEXT=text, AFTER="untouched")
    assert (await ami.send(actions.get_variable(our_id, "TEXT"))).get("Value") == text
    assert (await ami.send(actions.get_variable(our_id, "AFTER"))).get("Value") == "untouched"
    assert (await ami.send(actions.get_variable(our_id, "B"))).get("Value") == ""


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_the_dialplan_does_not_evaluate_text_in_a_variable(ami: AmiClient, text: str) -> None:
    our_id = channel_id()
    await ami.send(call(our_id, {"TEXT": text}, near="copy"))
    copied = await wait_for(ami, UserEvent, our_id, name="Copied")
    assert copied.headers["Length"] == str(len(text.encode()))
    assert (await ami.send(actions.get_variable(our_id, "COPY"))).get("Value") == text


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
async def test_setvar_takes_text_literally_but_for_leading_blanks(ami: AmiClient, text: str) -> None:
    our_id = await answered_call(ami)
    await ami.send(actions.set_variable(our_id, "TEXT", text))
    assert (await ami.send(actions.get_variable(our_id, "TEXT"))).get("Value") == text.lstrip(" \t")


async def test_a_value_of_ten_kilobytes_is_refused_before_it_reaches_asterisk(ami: AmiClient) -> None:
    our_id = channel_id()
    with pytest.raises(Exception, match="Shorten it"):
        await ami.send(call(our_id, {"TEXT": "x" * 10_240}))
    assert (await ami.send(actions.ping())).ok


async def test_the_longest_line_and_the_most_lines_that_we_send_are_read(ami: AmiClient) -> None:
    long = "v" * (MAX_LINE_BYTES - len("Value: "))
    await ami.send(actions.set_variable(None, "LONG", long))
    assert (await ami.send(actions.get_variable(None, "LONG"))).get("Value") == long
    assert (await ami.send(actions.Action(name="Ping", headers=(("X", "y"),) * (MAX_LINES - 2)))).ok


async def test_a_longer_line_would_be_read_as_a_new_action(peer: Peer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    login = b"Action: Login\r\nUsername: waihu\r\nSecret: contract-secret\r\n\r\n"
    # What follows the overlong line is obeyed as an action of its own: hence our limit.
    overlong = (
        b"Action: Setvar\r\nVariable: X\r\nValue: " + b"v" * 1_016 + b"\r\nAction: Ping\r\nActionID: injected\r\n\r\n"
    )
    writer.write(login + overlong)
    async with asyncio.timeout(DEADLINE_S):
        while b"injected" not in await reader.readline():
            pass
        assert b"Pong" in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_redirect_moves_a_channel_to_another_extension(ami: AmiClient) -> None:
    our_id = await answered_call(ami)
    await ami.send(actions.redirect(our_id, context="contract", exten="marked"))
    marked = await wait_for(ami, UserEvent, our_id, name="Marked")
    assert (marked.headers["Context"], marked.headers["Exten"]) == ("contract", "marked")


async def test_channels_that_are_there_are_listed_with_state_and_context(ami: AmiClient) -> None:
    our_id = await answered_call(ami)
    rows = {row.channel_id: row for row in map(channel_row, await ami.fetch(actions.core_show_channels()))}
    assert rows[our_id].state_name == "Up"
    assert rows[our_id].context == "contract"
    assert rows[our_id].linked_id == our_id
    assert rows[our_id].age_s is not None
    assert f"{our_id}-far" in rows


async def test_status_lists_the_variables_we_ask_for(ami: AmiClient) -> None:
    our_id = await answered_call(ami, WAIHU_ATTEMPT="0123", WAIHU_PROJECT="p 1")
    asked = actions.status(our_id, variables=("WAIHU_ATTEMPT", "WAIHU_PROJECT"))
    (row,) = [row for row in map(channel_row, await ami.fetch(asked)) if row.channel_id == our_id]
    assert row.variables == {"WAIHU_ATTEMPT": "0123", "WAIHU_PROJECT": "p 1"}
    assert row.age_s is not None


async def test_status_of_a_channel_that_is_gone_is_refused(ami: AmiClient) -> None:
    with pytest.raises(ActionFailed):
        await ami.fetch(actions.status(channel_id()))


async def test_a_list_action_can_be_sent_while_others_wait(ami: AmiClient) -> None:
    our_id = await answered_call(ami)
    lists = await asyncio.gather(*(ami.fetch(actions.core_show_channels()) for _ in range(10)))
    assert all(our_id in {channel_row(event).channel_id for event in events} for events in lists)


async def test_database_entries_are_put_read_and_deleted(ami: AmiClient) -> None:
    value = 'x="1",y;z ${A} 外'
    await ami.send(actions.db_put("contract", "key", value))
    (entry,) = await ami.fetch(actions.db_get("contract", "key"))
    assert entry.get("Val") == value
    await ami.send(actions.db_del("contract", "key"))
    assert await ami.fetch(actions.db_get("contract", "key")) == ()
    with pytest.raises(ActionFailed):
        await ami.send(actions.db_del("contract", "key"))


async def test_a_user_event_of_ours_comes_back_as_an_event(ami: AmiClient) -> None:
    await ami.send(actions.user_event("Mark", {"Number": "7"}))
    mark = await wait_for(ami, UserEvent, name="Mark")
    assert mark.headers["Number"] == "7"


async def test_a_command_gives_its_lines_and_a_wrong_one_is_refused(ami: AmiClient) -> None:
    response = await ami.send(actions.command("core show version"))
    assert response.output[0].startswith("Asterisk ")
    with pytest.raises(ActionFailed) as caught:
        await ami.send(actions.command("no such thing"))
    assert caught.value.response.output[0].startswith("No such command")


async def test_close_logs_off(peer: Peer, ami: AmiClient) -> None:
    async with ami_session(peer.config()) as session:
        response = await session.send(actions.logoff())
    assert response.get("Response") == "Goodbye"

"""FastAGI on the wire: environments, replies and hang-ups, whole, in pieces or damaged; and what we refuse to send."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agi.errors import (
    AgiProtocolError,
    CommandInProgress,
    EnvironmentMalformed,
    LineTooLong,
    PeerGone,
    ReplyMalformed,
    UnexpectedReply,
    UnsafeArgument,
)
from agi.protocol import (
    MAX_COMMAND_BYTES,
    MAX_LINE_BYTES,
    MAX_REPLY_BYTES,
    AgiProtocol,
    Environment,
    HangupNotice,
    Item,
    Reply,
    Step,
    encode,
)
from agi.routes import AgiRequest, Routes
from tests.protocols.test_ami_fuzz import damage

ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: call/answered?round=1\nagi_request: agi://127.0.0.1:4573/call/answered?round=1\n"
    b"agi_channel: Local/wait@contract-00000001;1\nagi_language: en\nagi_type: Local\nagi_uniqueid: call-1\nagi_version: 22.10.1\n"
    b"agi_callerid: 13800138000\nagi_calleridname: \xe5\xbc\xa0: three\nagi_context: contract\nagi_extension: ask\n"
    b"agi_accountcode: \nagi_arg_1: first\nagi_arg_2: second one\n\n"
)


def ready() -> AgiProtocol:
    """A protocol that has read its environment."""
    protocol = AgiProtocol()
    protocol.receive_data(ENVIRONMENT)
    return protocol


def asked() -> AgiProtocol:
    """A protocol that waits for a reply."""
    protocol = ready()
    protocol.send_command("NOOP")
    return protocol


def test_the_environment_is_read_without_its_prefix() -> None:
    (environment,) = AgiProtocol().receive_data(ENVIRONMENT)
    assert isinstance(environment, Environment)
    assert environment.get("uniqueid") == "call-1"
    assert environment.get("calleridname") == "张: three"
    assert environment.get("accountcode", "-") == ""
    assert environment.get("nothing", "-") == "-"


def test_the_request_says_route_channel_query_and_arguments() -> None:
    (environment,) = AgiProtocol().receive_data(ENVIRONMENT)
    assert isinstance(environment, Environment)
    request = AgiRequest.of(environment)
    assert request.path == "/call/answered"
    assert request.channel_id == "call-1"
    assert request.channel == "Local/wait@contract-00000001;1"
    assert dict(request.query) == {"round": "1"}
    assert request.arguments == ("first", "second one")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"request": "agi://host/call/redirected"}, "/call/redirected"),
        ({"request": "agi://host"}, "/"),
        ({}, "/"),
        ({"network_script": "/call//"}, "/call"),
        ({"request": "agi://[broken"}, "/"),
        ({"network_script": "x?" + "&" * 1_000}, "/x"),
    ],
)
def test_a_request_without_a_clear_route_never_raises(fields: dict[str, str], path: str) -> None:
    assert AgiRequest.of(Environment(fields)).path == path


@pytest.mark.parametrize("path", ["call", "/call/", "/call?x=1", ""])
def test_a_route_that_could_never_be_asked_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        Routes({path: None})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "line",
    [
        b"agi_uniqueid: call-2\n",
        b"no colon\n",
        b"Event: Hangup\n",
        b": value\n",
        b"200 result=1\n",
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_an_environment_that_cannot_be_trusted_is_refused(line: bytes) -> None:
    protocol = AgiProtocol()
    with pytest.raises(EnvironmentMalformed):
        protocol.receive_data(b"agi_uniqueid: call-1\n" + line)
    assert protocol.step is Step.FAILED


def test_an_environment_without_end_is_refused() -> None:
    with pytest.raises(EnvironmentMalformed):
        AgiProtocol().receive_data(b"".join(b"agi_arg_%d: x\n" % n for n in range(1_000)))
    with pytest.raises(LineTooLong):
        AgiProtocol().receive_data(b"agi_arg_1: " + b"x" * MAX_LINE_BYTES)


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"200 result=1\n", Reply(200, "1", None, "result=1")),
        (b"200 result=0\n", Reply(200, "0", None, "result=0")),
        (b"200 result=-1\n", Reply(200, "-1", None, "result=-1")),
        (b"200 result=\n", Reply(200, "", None, "result=")),
        (b"200 result=1 (value)\n", Reply(200, "1", "value", "result=1 (value)")),
        (b"200 result=1 ()\n", Reply(200, "1", "", "result=1 ()")),
        (b"200 result=1 (a (b) c)\n", Reply(200, "1", "a (b) c", "result=1 (a (b) c)")),
        (b"200 result=1 (a)b)\n", Reply(200, "1", "a)b", "result=1 (a)b)")),
        (b"200 result=123# (timeout)\n", Reply(200, "123#", "timeout", "result=123# (timeout)")),
        (b"200 result=0 endpos=1234\n", Reply(200, "0", None, "result=0 endpos=1234", 1234)),
        (b"200 result=0 (hangup) endpos=9\n", Reply(200, "0", "hangup", "result=0 (hangup) endpos=9", 9)),
        (b"200 result=1 (two\nlines)\n", Reply(200, "1", "two\nlines", "result=1 (two\nlines)")),
        (b"200 result=1 (\n\n)\n", Reply(200, "1", "\n\n", "result=1 (\n\n)")),
        (b"100 result=0 Trying...\n200 result=0\n", Reply(200, "0", None, "result=0")),
        (b"510 Invalid or unknown command\n", Reply(510, "", None, "Invalid or unknown command")),
        (
            b"511 Command Not Permitted on a dead channel\n",
            Reply(511, "", None, "Command Not Permitted on a dead channel"),
        ),
        (b"520-Invalid\nUsage: X\n520 End of proper usage.\n", Reply(520, "", None, "Invalid\nUsage: X")),
    ],
)
def test_replies_are_read(line: bytes, reply: Reply) -> None:
    whole, bytewise = asked(), asked()
    assert whole.receive_data(line) == [reply]
    assert [item for byte in line for item in bytewise.receive_data(bytes([byte]))] == [reply]
    assert whole.step is bytewise.step is Step.IDLE


@pytest.mark.parametrize(
    "line", [b"what\n", b"\n", b"20 result=1\n", b"200\n", b"200 nothing\n", b"2000 result=1\n", b"\xff\xff\n"]
)
def test_a_reply_that_is_none_is_refused(line: bytes) -> None:
    protocol = asked()
    with pytest.raises(ReplyMalformed):
        protocol.receive_data(line)
    assert protocol.step is Step.FAILED


def test_a_reply_to_no_question_is_refused() -> None:
    with pytest.raises(UnexpectedReply):
        ready().receive_data(b"200 result=1\n")
    with pytest.raises(UnexpectedReply):
        asked().receive_data(b"200 result=1\n200 result=1\n")


def test_a_value_that_forges_a_second_reply_is_refused() -> None:
    with pytest.raises(AgiProtocolError):
        asked().receive_data(b"200 result=1 (a)\n200 result=1 (forged)\n")


def test_a_value_without_end_is_refused() -> None:
    protocol = asked()
    protocol.receive_data(b"200 result=1 (")
    line = b"x" * 1_000 + b"\n"
    protocol.receive_data(line * (MAX_REPLY_BYTES // len(line)))
    with pytest.raises(LineTooLong):
        protocol.receive_data(line * 2)


@pytest.mark.parametrize("make", [ready, asked])
def test_a_hangup_is_told_before_and_during_a_command(make: object) -> None:
    protocol = make()  # type: ignore[operator]
    step = protocol.step
    assert protocol.receive_data(b"HANGUP\n") == [HangupNotice()]
    assert protocol.step is step


def test_a_reply_after_a_hangup_is_still_read() -> None:
    assert asked().receive_data(b"HANGUP\n200 result=1\n") == [HangupNotice(), Reply(200, "1", None, "result=1")]


def test_end_of_file_says_at_which_step() -> None:
    half = AgiProtocol()
    half.receive_data(ENVIRONMENT[:50])
    inside = asked()
    inside.receive_data(b"200 resu")
    for protocol, step in [
        (AgiProtocol(), "environment"),
        (half, "environment"),
        (ready(), "idle"),
        (inside, "awaiting_reply"),
    ]:
        with pytest.raises(PeerGone) as caught:
            protocol.receive_eof()
        assert caught.value.step == step
        assert protocol.step is Step.CLOSED
        assert protocol.receive_data(b"more") == []
        with pytest.raises(PeerGone):
            protocol.send_command("NOOP")


def test_end_of_file_after_we_closed_is_nothing() -> None:
    protocol = ready()
    protocol.close()
    protocol.receive_eof()


def test_one_command_at_a_time() -> None:
    with pytest.raises(CommandInProgress):
        asked().send_command("NOOP")


def test_no_command_before_the_environment() -> None:
    with pytest.raises(PeerGone):
        AgiProtocol().send_command("NOOP")


def test_a_refused_argument_leaves_the_connection_usable() -> None:
    protocol = ready()
    with pytest.raises(UnsafeArgument):
        protocol.send_command("SET VARIABLE", "A", "b\nc")
    assert protocol.send_command("NOOP") == b"NOOP\n"


@pytest.mark.parametrize("evil", ["a\nHANGUP", "a\r", "a\r\nEXEC System id", "\0", "a\0", "\ud800"])
def test_an_argument_that_would_inject_a_second_command_is_refused(evil: str) -> None:
    with pytest.raises(UnsafeArgument):
        encode("SET VARIABLE", "NAME", evil)
    with pytest.raises(UnsafeArgument):
        encode(evil)


@pytest.mark.parametrize("command", ["", "set variable", "SET  VARIABLE", "NOOP;", "EXEC System id", 'A "b"', "A\n"])
def test_a_command_that_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(UnsafeArgument):
        encode(command)


def test_a_command_that_asterisk_would_cut_in_two_is_refused() -> None:
    with pytest.raises(UnsafeArgument, match="bytes"):
        encode("SET VARIABLE", "NAME", "x" * MAX_COMMAND_BYTES)
    with pytest.raises(UnsafeArgument, match="bytes"):
        encode("SET VARIABLE", "NAME", "\\" * (MAX_COMMAND_BYTES // 2))


@given(value=st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=200))
def test_quoting_is_undone_by_an_independent_reader(value: str) -> None:
    line = encode("SET VARIABLE", "NAME", value)
    assert line.count(b"\n") == 1
    assert shlex.split(line.decode().removesuffix("\n"), posix=True) == ["SET", "VARIABLE", "NAME", value]


STREAM = ENVIRONMENT + b"HANGUP\n"
WHOLE = AgiProtocol().receive_data(STREAM)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_of_the_stream_gives_the_same_items(cuts: list[int]) -> None:
    protocol, items = AgiProtocol(), list[Item]()
    for start, end in itertools.pairwise([0, *sorted(cuts), len(STREAM)]):
        items += protocol.receive_data(STREAM[start:end])
    assert items == WHOLE


REPLIES = (
    b"200 result=1\n200 result=1 (value)\n100 result=0 Trying...\n200 result=0 endpos=3\nHANGUP\n510 Invalid\n"
    b"520-Usage\nSET VARIABLE\n520 End\n200 result=1 (two\nlines)\n"
)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_streams_end_in_items_or_typed_errors_within_time_and_memory(seed: int) -> None:
    random = Random(seed)
    environment = ENVIRONMENT if random.random() < 0.7 else damage(ENVIRONMENT, random)
    data = environment + damage(REPLIES, random)
    protocol, began, at = AgiProtocol(), time.perf_counter(), 0
    with contextlib.suppress(AgiProtocolError, PeerGone):
        while at < len(data):
            step = random.choice([1, 5, 50, 4_096])
            for item in protocol.receive_data(data[at : at + step]):
                if isinstance(item, Environment):
                    AgiRequest.of(item)
            if protocol.step is Step.IDLE:
                protocol.send_command("NOOP")
            at += step
            assert len(protocol._buffer) <= MAX_LINE_BYTES + step
        protocol.receive_eof()
    assert time.perf_counter() - began < 5.0

"""The AMI wire format: what arrives whole, in pieces, damaged or without end; and what we refuse to send."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.errors import (
    ActionTooLarge,
    GreetingMalformed,
    MessageTooLarge,
    NotConnected,
    StreamTruncated,
    UnsafeText,
)
from dialer.asterisk.ami.message import Event, Greeting, Malformed, Received, Response
from dialer.asterisk.ami.protocol import MAX_LINE_BYTES, MAX_LINES, AmiProtocol, State, encode

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
HANGUP = (
    b"Event: Hangup\r\nChannel: PJSIP/carrier-00000001\r\nUniqueid: call-1\r\nCause: 16\r\nCause-txt: Normal Clearing"
)
ANSWER = b"Response: Success\r\nActionID: w1\r\nMessage: Originate successfully queued"
END = b"\r\n\r\n"


def opened(**limits: int) -> AmiProtocol:
    """A protocol that has read its greeting."""
    protocol = AmiProtocol(**limits)
    protocol.receive_data(GREETING)
    return protocol


def test_greeting_is_read_and_opens_the_session() -> None:
    protocol = AmiProtocol()
    (greeting,) = protocol.receive_data(GREETING)
    assert isinstance(greeting, Greeting)
    assert greeting.ami_version == "11.0.0"
    assert protocol.state is State.OPEN


def test_messages_behind_the_greeting_in_the_same_bytes_are_read() -> None:
    received = AmiProtocol().receive_data(GREETING + HANGUP + END + ANSWER + END)
    assert [type(message) for message in received] == [Greeting, Event, Response]


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"x" * 300])
def test_a_peer_that_is_not_ami_is_refused_by_its_greeting(line: bytes) -> None:
    protocol = AmiProtocol()
    with pytest.raises(GreetingMalformed):
        protocol.receive_data(line)
    assert protocol.state is State.FAILED


def test_an_event_gives_its_headers_as_asterisk_wrote_them() -> None:
    (event,) = opened().receive_data(HANGUP + END)
    assert isinstance(event, Event)
    assert event.name == "Hangup"
    assert event.get("Uniqueid") == "call-1"
    assert event.get("Cause") == "16"
    assert event.get("Cause-txt") == "Normal Clearing"
    assert event.get("ActionID") == ""
    assert event.get("Nothing", "default") == "default"
    assert "Channel" in event
    assert "channel" not in event


def test_a_header_is_not_found_inside_another_ones_name_or_value() -> None:
    (event,) = opened().receive_data(b"Event: X\r\nDestChannel: a\r\nNote: Channel: b\r\nChannel: c" + END)
    assert event.get("Channel") == "c"


def test_a_header_that_comes_twice_keeps_every_value() -> None:
    block = b"Event: Status\r\nVariable: A=1\r\nVariable: B=2, with: colon\r\nChanVariable: C=\r\nVariable: D=4" + END
    (event,) = opened().receive_data(block)
    assert event.get("Variable") == "A=1"
    assert event.get_all("Variable") == ["A=1", "B=2, with: colon", "D=4"]
    assert event.get_all("ChanVariable") == ["C="]


def test_empty_values_missing_blanks_and_colons_in_values_are_read() -> None:
    (event,) = opened().receive_data(
        b"Event: X\r\nEmpty: \r\nBare:\r\nTight:v\r\nTime: 12:30:45\r\nspaced:  two " + END
    )
    assert [event.get(name, "-") for name in ("Empty", "Bare", "Tight", "Time", "spaced")] == [
        "",
        "",
        "v",
        "12:30:45",
        " two ",
    ]


def test_output_of_a_command_keeps_its_lines_and_blank_lines() -> None:
    block = (
        b"Response: Success\r\nMessage: Command output follows\r\nOutput: one\r\nOutput: \r\nOutput:   three: 3" + END
    )
    (response,) = opened().receive_data(block)
    assert isinstance(response, Response)
    assert response.output == ["one", "", "  three: 3"]


def test_an_event_with_a_response_header_stays_an_event() -> None:
    (event,) = opened().receive_data(b"Event: OriginateResponse\r\nActionID: a\r\nResponse: Failure" + END)
    assert isinstance(event, Event)
    assert event.get("Response") == "Failure"


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    (event,) = opened().receive_data(b"Event: X\r\nCallerIDName: \xcd\xe2\xba\xf4" + END)
    assert "\N{REPLACEMENT CHARACTER}" in event.get("CallerIDName")
    event.get("CallerIDName").encode()


@pytest.mark.parametrize(
    "block",
    [
        b"Nonsense",
        b"Foo: bar\r\nEvent: Hangup",
        b"Event: Hangup\r\nChannel: a\0b",
        b"\0\0\0\0",
    ],
)
def test_a_poisoned_block_is_set_aside_and_the_next_is_read(block: bytes) -> None:
    bad, good = opened().receive_data(block + END + HANGUP + END)
    assert isinstance(bad, Malformed)
    assert good == Event(HANGUP)


def test_a_nul_is_found_when_it_came_in_an_earlier_piece() -> None:
    protocol = opened()
    assert protocol.receive_data(b"Event: X\r\nA: \0b\r\n") == []
    (bad,) = protocol.receive_data(b"C: d" + END)
    assert isinstance(bad, Malformed)
    (good,) = protocol.receive_data(HANGUP + END)
    assert isinstance(good, Event)


def test_extra_line_breaks_between_messages_are_ignored() -> None:
    protocol = opened()
    received = protocol.receive_data(b"\r\n" + HANGUP + END + b"\r\n\r\n\r\n" + ANSWER + END + b"\r\n")
    assert [type(message) for message in received] == [Event, Response]
    protocol.receive_eof()


def test_a_message_without_end_is_refused_at_the_bound() -> None:
    protocol = opened(max_message_bytes=10_000)
    for _ in range(10):
        protocol.receive_data(b"X: " + b"y" * 997)
    with pytest.raises(MessageTooLarge):
        protocol.receive_data(b"X: " + b"y" * 997)
    assert protocol.state is State.FAILED
    with pytest.raises(MessageTooLarge):
        protocol.receive_data(b"more")


def test_a_message_over_the_bound_that_comes_whole_is_refused() -> None:
    with pytest.raises(MessageTooLarge):
        opened(max_message_bytes=1_000).receive_data(b"Event: X\r\nA: " + b"y" * 2_000 + END)


def test_a_failed_protocol_keeps_nothing_in_memory() -> None:
    protocol = opened(max_message_bytes=1_000)
    with pytest.raises(MessageTooLarge):
        protocol.receive_data(b"y" * 2_000)
    for _ in range(10):
        with pytest.raises(MessageTooLarge):
            protocol.receive_data(b"y" * 100_000)
    assert len(protocol._buffer) == 0


def test_end_of_file_between_messages_is_clean() -> None:
    protocol = opened()
    protocol.receive_data(HANGUP + END)
    protocol.receive_eof()
    assert protocol.state is State.CLOSED
    assert protocol.receive_data(HANGUP + END) == []


@pytest.mark.parametrize("cut", range(1, len(HANGUP) + 3, 7))
def test_end_of_file_inside_a_message_says_so(cut: int) -> None:
    protocol = opened()
    protocol.receive_data((HANGUP + END)[:cut])
    with pytest.raises(StreamTruncated):
        protocol.receive_eof()


def test_end_of_file_before_the_greeting_is_complete_says_so() -> None:
    protocol = AmiProtocol()
    protocol.receive_data(b"Asterisk Call")
    with pytest.raises(StreamTruncated):
        protocol.receive_eof()


STREAM = GREETING + HANGUP + END + b"\r\n" + ANSWER + END + b"Nonsense" + END + HANGUP.replace(b"16", b"17") + END
WHOLE = AmiProtocol().receive_data(STREAM)


def test_byte_wise_input_gives_the_same_messages() -> None:
    protocol = AmiProtocol()
    assert [message for byte in STREAM for message in protocol.receive_data(bytes([byte]))] == WHOLE


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_of_the_stream_gives_the_same_messages(cuts: list[int]) -> None:
    protocol, received = AmiProtocol(), list[Received]()
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        received += protocol.receive_data(STREAM[start:end])
    assert received == WHOLE


_names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
_values = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60)


@given(headers=st.lists(st.tuples(_names, _values), max_size=12))
def test_what_is_sent_reads_back_unchanged(headers: list[tuple[str, str]]) -> None:
    data = encode(Action(name="Test", headers=tuple(headers)), "id-1")
    assert data.endswith(END)
    (message,) = opened().receive_data(b"Event: Echo\r\n" + data)
    assert list(message.headers()) == [("Event", "Echo"), ("Action", "Test"), ("ActionID", "id-1"), *headers]


INJECTIONS = [
    "a\r\nAction: Hangup",
    "a\nChannel: other",
    "a\r",
    "a\r\n\r\nAction: Originate\r\nChannel: PJSIP/premium",
    "\0",
    "a\0b",
    "\ud800",
]


@pytest.mark.parametrize("evil", INJECTIONS)
@pytest.mark.parametrize(
    "build",
    [
        actions.hangup,
        lambda text: actions.redirect("call-1", context=text),
        lambda text: actions.set_variable("call-1", "NAME", text),
        lambda text: actions.db_put("family", "key", text),
        lambda text: actions.user_event("Name", {"Header": text}),
        lambda text: Action(name=text),
        lambda text: Action(name="Ping", headers=((text, "value"),)),
        lambda text: actions.originate(
            channel="Local/1@x",
            channel_id="call-1",
            context="c",
            ring_timeout_s=1,
            caller_id="<1>",
            variables={"NAME": text},
        ),
    ],
)
def test_text_that_would_inject_a_second_action_is_refused(build: object, evil: str) -> None:
    with pytest.raises(UnsafeText):
        encode(build(evil), "id-1")  # type: ignore[operator]


@pytest.mark.parametrize("evil", INJECTIONS)
def test_an_action_id_that_would_inject_is_refused(evil: str) -> None:
    with pytest.raises(UnsafeText):
        encode(actions.ping(), evil)


@given(value=st.text(max_size=200))
def test_no_text_ever_makes_more_than_one_message(value: str) -> None:
    try:
        data = encode(Action(name="Setvar", headers=(("Value", value),)), "id-1")
    except (UnsafeText, ActionTooLarge):
        return
    assert data.count(b"\r\n") == 4
    assert data.count(b"\n") == 4
    assert data.count(b"\r") == 4


def test_a_line_longer_than_asterisk_reads_is_refused_because_its_rest_would_be_a_new_action() -> None:
    fits = "v" * (MAX_LINE_BYTES - len("Value: "))
    encode(Action(name="Setvar", headers=(("Value", fits),)), "id-1")
    with pytest.raises(ActionTooLarge):
        encode(Action(name="Setvar", headers=(("Value", fits + "v"),)), "id-1")
    with pytest.raises(ActionTooLarge):
        encode(Action(name="Setvar", headers=(("Value", "外" * 400),)), "id-1")


def test_more_lines_than_asterisk_reads_are_refused() -> None:
    encode(Action(name="X", headers=(("A", "b"),) * (MAX_LINES - 2)), "id-1")
    with pytest.raises(ActionTooLarge):
        encode(Action(name="X", headers=(("A", "b"),) * (MAX_LINES - 1)), "id-1")


def test_nothing_is_sent_before_the_greeting_or_after_the_end() -> None:
    protocol = AmiProtocol()
    with pytest.raises(NotConnected):
        protocol.send_action(actions.ping(), "id-1")
    protocol.receive_data(GREETING)
    assert protocol.send_action(actions.ping(), "id-1") == b"Action: Ping\r\nActionID: id-1\r\n\r\n"
    protocol.receive_eof()
    with pytest.raises(NotConnected):
        protocol.send_action(actions.ping(), "id-2")


def test_secrets_and_numbers_are_not_in_the_text_form_of_an_action() -> None:
    assert "hidden" not in repr(actions.login_with_secret("user", "hidden"))

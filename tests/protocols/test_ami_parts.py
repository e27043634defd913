"""The small parts of the client: the bounded queue, the back-off, the version gate, text for Asterisk, typed events."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.asterisk.ami.backoff import backoff_s
from dialer.asterisk.ami.errors import SessionClosed, UnsafeText, UnsupportedAsterisk
from dialer.asterisk.ami.event_queue import Connected, EventQueue, Item, Lost, Resync
from dialer.asterisk.ami.events import FullyBooted, Hangup, channel_row, view
from dialer.asterisk.ami.message import Event
from dialer.asterisk.ami.text import caller_id, pjsip_endpoint, pjsip_number, variable_line
from dialer.asterisk.ami.version import check_version
from tests.protocols.fake_dialplan import split_variables

CONNECTED = Connected(asterisk_version="22.10.1", system_name="", session=1)
LOST = Lost(reason=SessionClosed("test"))


def numbered(n: int) -> Event:
    return Event(f"Event: E{n}".encode())


async def test_a_queue_that_keeps_up_gives_everything_in_order() -> None:
    queue = EventQueue(bound=100)
    items: list[Item] = [CONNECTED, *map(numbered, range(50)), LOST]
    for item in items:
        queue.put(item)
    assert await queue.take(1_000) == items
    assert queue.dropped == 0


async def test_an_overflow_is_replaced_by_one_resync_that_counts_what_is_missing() -> None:
    queue = EventQueue(bound=10)
    queue.put(CONNECTED)
    for n in range(25):
        queue.put(numbered(n))
    taken = await queue.take(1_000)
    assert len(taken) <= 10
    (resync,) = [item for item in taken if isinstance(item, Resync)]
    assert taken[0] is resync
    assert resync.connected == CONNECTED
    assert resync.dropped + len(taken) - 1 == 26
    assert taken[-1] == numbered(24)
    assert queue.dropped == resync.dropped


async def test_a_loss_that_fell_to_an_overflow_is_told_by_the_resync() -> None:
    queue = EventQueue(bound=3)
    for item in (CONNECTED, LOST, numbered(1), numbered(2)):
        queue.put(item)
    first = (await queue.take(1))[0]
    assert first == Resync(dropped=3, connected=None)


@given(bound=st.integers(2, 20), kinds=st.lists(st.integers(0, 12), max_size=200))
async def test_the_queue_never_outgrows_its_bound_and_accounts_for_every_item(bound: int, kinds: list[int]) -> None:
    queue, put, seen = EventQueue(bound=bound), 0, 0
    for kind in kinds:
        if kind == 0 and len(queue):
            for item in await queue.take(3):
                seen += item.dropped if isinstance(item, Resync) else 1
        else:
            queue.put(CONNECTED if kind == 1 else LOST if kind == 2 else numbered(kind))
            put += 1
        assert len(queue) <= bound
    queue.close()
    while items := await queue.take(7):
        seen += sum(item.dropped if isinstance(item, Resync) else 1 for item in items)
    assert seen == put


async def test_a_closed_queue_gives_what_it_holds_and_then_ends() -> None:
    queue = EventQueue(bound=3)
    queue.put(CONNECTED)
    queue.close()
    queue.put(LOST)
    assert await queue.take(5) == [CONNECTED]
    assert await queue.take(5) == []


@given(failures=st.integers(0, 10_000), seed=st.integers())
def test_the_wait_before_a_reconnect_grows_to_its_cap_and_is_never_nothing(failures: int, seed: int) -> None:
    wait_s = backoff_s(failures, Random(seed), base_s=0.1, cap_s=3.0)
    if failures == 0:
        assert wait_s == 0
    else:
        ceiling = min(3.0, 0.1 * 2.0 ** min(failures - 1, 10))
        assert ceiling / 2 <= wait_s <= ceiling


def test_two_engines_do_not_wait_the_same_time() -> None:
    waits = {backoff_s(5, Random(seed), base_s=0.1, cap_s=3.0) for seed in range(20)}
    assert len(waits) == 20


@pytest.mark.parametrize(
    "text",
    ["22.8.0", "22.10.1+dfsg+~cs6.17.60671434-1", "22.8", "23.0.0-rc1", "certified-22.8-cert1", "100.1.2"],
)
def test_asterisk_22_8_and_later_is_accepted(text: str) -> None:
    assert check_version(text) >= (22, 8)


@pytest.mark.parametrize(
    "text",
    ["22.7.0", "22.0.0", "21.12.0", "20.16.0", "16.28.0~dfsg", "", "GIT-master-abc", "certified-20.7-cert3", "x22.9"],
)
def test_an_older_or_unreadable_asterisk_is_refused_with_both_versions(text: str) -> None:
    with pytest.raises(UnsupportedAsterisk, match=r"22\.8 or later") as caught:
        check_version(text)
    assert caught.value.detail["found"] == text


_text = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=80)


@given(value=_text)
def test_a_variable_line_is_read_back_as_one_variable_with_the_same_value(value: str) -> None:
    assert split_variables(variable_line("NAME", value)) == {"NAME": value}


@pytest.mark.parametrize(
    "name", ["", "A B", "A=1", "A,B", "SHELL(id)", "CALLERID(num)", "A\r\n", "名", "9A", "___A", "A" * 90]
)
def test_a_name_that_is_no_plain_variable_is_refused(name: str) -> None:
    with pytest.raises(UnsafeText):
        variable_line(name, "value")


@pytest.mark.parametrize(
    "number", ["", "13800138000&PJSIP/1@other", "1@other", "1/2", "1 2", "1,2", "+", "sip:1", "1" * 40, "１２３"]
)
def test_only_telephone_numbers_are_dialled_or_shown(number: str) -> None:
    with pytest.raises(UnsafeText):
        pjsip_number(number, "carrier")
    with pytest.raises(UnsafeText):
        caller_id(number)


@pytest.mark.parametrize("endpoint", ["", "a/b", "a@b", "a b", "a&PJSIP/b", "a,b", "a\n"])
def test_only_names_of_endpoints_are_called(endpoint: str) -> None:
    with pytest.raises(UnsafeText):
        pjsip_endpoint(endpoint)
    with pytest.raises(UnsafeText):
        pjsip_number("13800138000", endpoint)


@given(name=st.text(max_size=200))
def test_no_name_breaks_out_of_the_caller_id(name: str) -> None:
    shown = caller_id("+8613800138000", name)
    assert shown.endswith("<+8613800138000>")
    assert shown.count("<") == shown.count(">") == 1
    assert shown.count('"') in (0, 2)
    assert not any(char in shown for char in "\r\n\0\\")


def test_dial_strings_and_caller_ids_look_as_asterisk_wants_them() -> None:
    assert pjsip_number("+8613800138000", "carrier-1") == "PJSIP/+8613800138000@carrier-1"
    assert pjsip_endpoint("agent-7") == "PJSIP/agent-7"
    assert caller_id("02085550100", "外呼") == '"外呼" <02085550100>'
    assert caller_id("02085550100", '"<>\\') == "<02085550100>"


def test_an_event_with_unknown_and_unreadable_values_gives_empty_and_none() -> None:
    seen = view(Event(b"Event: Hangup\r\nChannel: <unknown>\r\nCause: many"))
    assert seen == Hangup(channel_id="", channel="", linked_id="", cause=None, cause_text="", tech_cause="")
    assert view(Event(b"Event: FullyBooted\r\nUptime: " + b"9" * 5_000)) == FullyBooted(uptime_s=None)
    assert view(Event("Event: Hangup\r\nCause: １６".encode())) == seen
    assert channel_row(Event(b"Event: CoreShowChannel\r\nDuration: 1:2")).age_s is None
    assert channel_row(Event(b"Event: CoreShowChannel\r\nDuration: 27:46:39")).age_s == 99_999


def test_an_event_that_nobody_asked_for_is_none() -> None:
    assert view(Event(b"Event: RTCPSent")) is None

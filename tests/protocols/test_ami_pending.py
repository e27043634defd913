"""Answers find their actions, lists are bounded, and nothing that nobody waits for is taken for news."""

from __future__ import annotations

import pytest

from dialer.asterisk.ami.actions import core_show_channels, db_get, hangup, originate, ping
from dialer.asterisk.ami.errors import ActionFailed, ListTooLong, TooManyPending
from dialer.asterisk.ami.message import Event, Response
from dialer.asterisk.ami.pending import ABANDONED_KEPT, ABSORBED, FOR_CONSUMER, Answer, PendingActions, Settled


def response(action_id: str, *lines: str, kind: str = "Success") -> Response:
    return Response("\r\n".join([f"Response: {kind}", f"ActionID: {action_id}", *lines]).encode())


def event(name: str, action_id: str = "", *lines: str) -> Event:
    own = [f"ActionID: {action_id}"] if action_id else []
    return Event("\r\n".join([f"Event: {name}", *own, *lines]).encode())


def a_list(action_id: str, *, max_events: int = 10) -> PendingActions:
    pending = PendingActions(bound=5)
    pending.add(core_show_channels(), action_id, is_list=True, max_events=max_events)
    assert pending.feed(response(action_id, "EventList: start")) is ABSORBED
    return pending


def test_answers_are_matched_by_action_id_in_any_order() -> None:
    pending = PendingActions(bound=5)
    for action_id in ("a", "b"):
        pending.add(ping(), action_id, is_list=False, max_events=0)
    second, first = response("b"), response("a")
    assert pending.feed(second) == Settled(action_id="b", result=Answer(response=second))
    assert pending.feed(first) == Settled(action_id="a", result=Answer(response=first))
    assert len(pending) == 0


def test_an_error_settles_the_action_with_what_asterisk_said() -> None:
    pending = PendingActions(bound=5)
    pending.add(hangup("call-1"), "a", is_list=False, max_events=0)
    settled = pending.feed(response("a", "Message: No such channel", kind="Error"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, ActionFailed)
    assert "No such channel" in settled.result.message


def test_an_answer_without_or_with_a_foreign_action_id_is_counted_and_dropped() -> None:
    pending = PendingActions(bound=5)
    assert pending.feed(response("nobody")) is ABSORBED
    assert pending.feed(Response(b"Response: Error\r\nMessage: line too long")) is ABSORBED
    assert pending.stragglers == 2


def test_an_answer_that_comes_twice_settles_once() -> None:
    pending = PendingActions(bound=5)
    pending.add(ping(), "a", is_list=False, max_events=0)
    assert isinstance(pending.feed(response("a")), Settled)
    assert pending.feed(response("a")) is ABSORBED
    assert pending.stragglers == 1


def test_a_list_is_collected_to_its_complete_event() -> None:
    pending = a_list("a")
    rows = [event("CoreShowChannel", "a", f"Uniqueid: call-{n}") for n in range(3)]
    assert [pending.feed(row) for row in rows] == [ABSORBED] * 3
    assert pending.feed(event("Hangup")) is FOR_CONSUMER
    settled = pending.feed(event("CoreShowChannelsComplete", "a", "EventList: Complete", "ListItems: 3"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, Answer)
    assert list(settled.result.events) == rows


def test_a_second_answer_to_a_list_that_goes_on_is_counted_and_dropped() -> None:
    pending = a_list("a")
    assert pending.feed(response("a", "Message: again")) is ABSORBED
    assert pending.stragglers == 1
    settled = pending.feed(event("CoreShowChannelsComplete", "a", "EventList: Complete"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, Answer)
    assert settled.result.response.starts_list


def test_a_list_over_its_bound_is_read_to_its_end_and_refused() -> None:
    pending = a_list("a", max_events=2)
    for n in range(5):
        assert pending.feed(event("CoreShowChannel", "a", f"Uniqueid: {n}")) is ABSORBED
    settled = pending.feed(event("CoreShowChannelsComplete", "a", "EventList: Complete"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, ListTooLong)


def test_a_list_exactly_at_its_bound_is_given() -> None:
    pending = a_list("a", max_events=2)
    for n in range(2):
        pending.feed(event("CoreShowChannel", "a", f"Uniqueid: {n}"))
    settled = pending.feed(event("CoreShowChannelsComplete", "a", "EventList: Complete"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, Answer)


def test_nothing_to_list_is_an_empty_list_where_asterisk_calls_it_an_error() -> None:
    pending = PendingActions(bound=5)
    pending.add(db_get("f", "k"), "a", is_list=True, max_events=5)
    settled = pending.feed(response("a", "Message: Database entry not found", kind="Error"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, Answer)
    assert settled.result.events == ()


def test_a_cancelled_list_is_a_failure() -> None:
    settled = a_list("a").feed(event("Anything", "a", "EventList: cancelled"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.result, ActionFailed)


def test_originate_response_is_news_before_and_after_the_answer() -> None:
    pending = PendingActions(bound=5)
    call = originate(channel="Local/1@c", channel_id="c", context="c", ring_timeout_s=1, caller_id="<1>", variables={})
    pending.add(call, "a", is_list=False, max_events=0)
    assert pending.feed(event("OriginateResponse", "a")) is FOR_CONSUMER
    assert isinstance(pending.feed(response("a")), Settled)
    assert pending.feed(event("OriginateResponse", "a")) is FOR_CONSUMER


def test_a_late_answer_and_a_late_list_are_swallowed_and_counted() -> None:
    pending = a_list("a")
    pending.abandon("a")
    assert pending.feed(event("CoreShowChannel", "a")) is ABSORBED
    assert pending.feed(event("CoreShowChannelsComplete", "a", "EventList: Complete")) is ABSORBED
    assert pending.stragglers == 2
    assert pending.feed(event("CoreShowChannel", "a")) is FOR_CONSUMER


def test_the_bound_of_unanswered_actions_is_kept() -> None:
    pending = PendingActions(bound=2)
    for action_id in ("a", "b"):
        pending.add(ping(), action_id, is_list=False, max_events=0)
    with pytest.raises(TooManyPending):
        pending.add(ping(), "c", is_list=False, max_events=0)
    pending.abandon("a")
    pending.add(ping(), "c", is_list=False, max_events=0)


def test_an_action_id_that_waits_already_is_refused() -> None:
    pending = PendingActions(bound=2)
    pending.add(ping(), "a", is_list=False, max_events=0)
    with pytest.raises(ValueError, match="waits"):
        pending.add(ping(), "a", is_list=False, max_events=0)


def test_memory_of_abandoned_actions_is_bounded() -> None:
    pending = PendingActions(bound=2)
    for n in range(ABANDONED_KEPT * 3):
        pending.add(ping(), f"a{n}", is_list=False, max_events=0)
        pending.abandon(f"a{n}")
    assert len(pending._abandoned) == ABANDONED_KEPT

"""Every pair of the state tables is decided, and no order of events leads where nobody can leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.agent_table import AGENT_TABLE, AgentEvent
from dialer.domain.call_table import CALL_TABLE, CallEvent
from dialer.domain.diagrams import page
from dialer.domain.machine import Kind, Table
from dialer.domain.states import AgentState, CallState

STATES_PAGE = Path(__file__).parents[3] / "docs" / "states.md"


def test_undecided_pair_is_named_when_the_table_is_made() -> None:
    with pytest.raises(ValueError, match="ringing/answered decided 0 times"):
        Table([CallState.RINGING], [CallEvent.ANSWERED], moves={}, stragglers=(), illegal=())


def test_pair_decided_twice_is_named_when_the_table_is_made() -> None:
    pair = (CallState.RINGING, CallEvent.ANSWERED)
    with pytest.raises(ValueError, match="decided 2 times"):
        Table([pair[0]], [pair[1]], moves={pair: CallState.ANSWERED}, stragglers=[pair], illegal=())


def test_every_live_call_ends_with_its_hang_up() -> None:
    for state in CallState:
        assert CALL_TABLE.step(state, CallEvent.HUNG_UP).state is CallState.ENDED


def test_nothing_leads_out_of_the_end_of_a_call() -> None:
    for event in CallEvent:
        step = CALL_TABLE.step(CallState.ENDED, event)
        assert (step.kind, step.state) == (Kind.STRAGGLER, CallState.ENDED)


def test_what_asterisk_has_spoken_of_is_never_called_not_sent() -> None:
    for state in (CallState.RINGING, CallState.ANSWERED, CallState.BRIDGED, CallState.HELD):
        assert CALL_TABLE.step(state, CallEvent.NOT_SENT).kind is Kind.ILLEGAL


def test_an_agent_who_has_a_call_is_never_promised_another() -> None:
    for state in (AgentState.RESERVED, AgentState.TALKING, AgentState.WRAP_UP):
        assert AGENT_TABLE.step(state, AgentEvent.RESERVED).kind is Kind.ILLEGAL


@given(st.lists(st.sampled_from(list(CallEvent)), max_size=60))
def test_no_order_of_events_keeps_a_call_from_ending(events: list[CallEvent]) -> None:
    state = CallState.COMMITTED
    for event in events:
        state = CALL_TABLE.step(state, event).state
    assert CALL_TABLE.step(state, CallEvent.HUNG_UP).state is CallState.ENDED


@given(st.permutations([CallEvent.SENT, CallEvent.RINGING, CallEvent.ANSWERED, CallEvent.BRIDGED]), st.data())
def test_lost_doubled_and_reordered_news_ends_at_the_latest_stage(events: list[CallEvent], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(events), min_size=1, max_size=12))
    state = CallState.COMMITTED
    for event in kept:
        step = CALL_TABLE.step(state, event)
        assert step.kind is not Kind.ILLEGAL
        state = step.state
    rank = {CallEvent.SENT: 1, CallEvent.RINGING: 2, CallEvent.ANSWERED: 3, CallEvent.BRIDGED: 4}
    order = [CallState.COMMITTED, CallState.ORIGINATING, CallState.RINGING, CallState.ANSWERED, CallState.BRIDGED]
    assert state is order[max(rank[event] for event in kept)]


@given(st.lists(st.sampled_from(list(AgentEvent)), max_size=60))
def test_every_agent_can_log_out_after_the_present_work(events: list[AgentEvent]) -> None:
    state = AgentState.LOGGED_OUT
    for event in events:
        state = AGENT_TABLE.step(state, event).state
    if state is AgentState.TALKING:
        state = AGENT_TABLE.step(state, AgentEvent.CALL_ENDED).state
    assert AGENT_TABLE.step(state, AgentEvent.LOGOUT).state is AgentState.LOGGED_OUT


def test_the_diagrams_in_the_docs_are_those_of_the_tables() -> None:
    assert STATES_PAGE.read_text() == page(), "run: python -m dialer.domain.diagrams > docs/states.md"

"""Pauses of a recording: no order of events leaves a call muted, and the mark on a channel comes back as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.machine import Kind
from dialer.domain.pause_table import PAUSE_TABLE, PauseEvent, PauseState
from dialer.domain.pauses import REASONS, Mark, PauseEnd, PauseReason, mark_of

BEGAN = datetime(2026, 3, 9, 9, 30, 0, 123_000, tzinfo=UTC)


def a_mark(ended_by: PauseEnd | None = None) -> Mark:
    return Mark(
        pause_id=UUID(int=3),
        agent_id=UUID(int=4),
        reason=PauseReason.CARD_NUMBER,
        started_at=BEGAN,
        ended_at=None if ended_by is None else BEGAN + timedelta(seconds=9),
        ended_by=ended_by,
    )


@given(st.lists(st.sampled_from(list(PauseEvent)), max_size=60))
def test_whatever_has_happened_a_pause_that_is_over_and_unmuted_is_recorded(events: list[PauseEvent]) -> None:
    state = PauseState.RECORDED
    for event in (*events, PauseEvent.OVER, PauseEvent.UNMUTED):
        state = PAUSE_TABLE.step(state, event).state
    assert state is PauseState.RECORDED


@given(st.lists(st.sampled_from(list(PauseEvent)), max_size=60))
def test_nobody_is_told_paused_before_asterisk_has_said_so(events: list[PauseEvent]) -> None:
    state = PauseState.RECORDED
    for event in events:
        before, state = state, PAUSE_TABLE.step(state, event).state
        if state is PauseState.PAUSED is not before:
            assert (before, event) == (PauseState.PAUSING, PauseEvent.MUTED)


def test_what_may_be_muted_is_recorded_only_after_asterisk_has_said_so() -> None:
    for state in (PauseState.PAUSED, PauseState.RESUMING):
        assert [event for event in PauseEvent if PAUSE_TABLE.step(state, event).state is PauseState.RECORDED] == (
            [PauseEvent.UNMUTED] if state is PauseState.RESUMING else []
        )


def test_there_is_one_pause_at_a_time() -> None:
    for state in set(PauseState) - {PauseState.RECORDED}:
        assert PAUSE_TABLE.step(state, PauseEvent.ASKED).kind is Kind.ILLEGAL


@pytest.mark.parametrize("ended_by", [None, *PauseEnd])
def test_a_mark_comes_back_as_it_was_written(ended_by: PauseEnd | None) -> None:
    assert mark_of(str(a_mark(ended_by))) == a_mark(ended_by)


@given(st.text(max_size=200))
def test_a_text_that_is_no_mark_is_none(text: str) -> None:
    assert mark_of(text) is None


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_mark_that_lost_a_word_is_none(cut: int) -> None:
    words = str(a_mark(PauseEnd.LIMIT)).split(" ")
    kept = " ".join(words[:cut])
    assert (mark_of(kept) is None) is (cut != 4)


def test_every_reason_can_be_chosen() -> None:
    assert [one.code for one in REASONS] == list(PauseReason)

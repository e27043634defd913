"""From the cause of a hang-up to the outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.outcomes import Ending, Outcome, outcome_of

CAUSES = st.one_of(st.none(), st.integers(0, 127))


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        (17, Outcome.BUSY),
        (19, Outcome.NO_ANSWER),
        (21, Outcome.REJECTED),
        (1, Outcome.VACANT),
        (20, Outcome.UNREACHABLE),
        (34, Outcome.CONGESTION),
        (28, Outcome.INVALID_NUMBER),
        (27, Outcome.FAILED),
        (None, Outcome.FAILED),
        (0, Outcome.FAILED),
        (127, Outcome.FAILED),
    ],
)
def test_unanswered_call_is_named_by_its_cause(cause: int | None, outcome: Outcome) -> None:
    assert outcome_of(Ending(cause=cause)) is outcome


def test_sip_answer_decides_where_the_cause_is_too_coarse() -> None:
    assert outcome_of(Ending(cause=19, sip_status=480)) is Outcome.UNREACHABLE


@given(CAUSES, st.booleans(), st.booleans())
def test_bridged_call_was_connected_whatever_ended_it(cause: int | None, waited: bool, canceled: bool) -> None:
    ending = Ending(answered=True, bridged=True, waited_out=waited, canceled=canceled, cause=cause)
    assert outcome_of(ending) is Outcome.CONNECTED


@given(CAUSES)
def test_answered_call_without_agent_is_abandoned_after_the_limit_and_early_before_it(cause: int | None) -> None:
    assert outcome_of(Ending(answered=True, waited_out=True, cause=cause)) is Outcome.ABANDONED
    assert outcome_of(Ending(answered=True, cause=cause)) is Outcome.HUNG_UP_EARLY


@given(CAUSES, st.one_of(st.none(), st.integers(100, 699)), st.booleans(), st.booleans())
def test_unanswered_call_is_never_counted_as_answered(
    cause: int | None, sip: int | None, rang_out: bool, canceled: bool
) -> None:
    found = outcome_of(Ending(cause=cause, sip_status=sip, rang_out=rang_out, canceled=canceled))
    assert found not in {Outcome.CONNECTED, Outcome.ABANDONED, Outcome.HUNG_UP_EARLY, Outcome.NOT_SENT}

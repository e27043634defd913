"""The trial's pacing, and the interval its figures come with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.life.intervals import wilson
from dialer.domain.pacing import Limit, Mode
from tests.unit.domain.test_pacing import a_snapshot, decide


@given(st.integers(0, 20), st.integers(0, 20), st.integers(-3, 30))
def test_a_trial_places_what_progressive_would_as_far_as_the_sample_has_room(
    ready: int, in_flight: int, left: int
) -> None:
    snapshot = replace(a_snapshot(mode=Mode.TRIAL, ready=ready, in_flight=in_flight), sample_left=left)
    progressive = decide(replace(snapshot, mode=Mode.PROGRESSIVE))
    decision = decide(snapshot)
    assert decision.place == max(0, min(progressive.place, left))
    assert (decision.limited_by is Limit.SAMPLE) == (left <= 0 or progressive.place > left)


def test_a_trial_whose_sample_is_not_known_places_nothing() -> None:
    decision = decide(a_snapshot(mode=Mode.TRIAL, ready=5))
    assert (decision.place, decision.limited_by) == (0, Limit.SAMPLE)


# Published values: Newcombe (1998), Two-sided confidence intervals for the single proportion, table I, method 3.
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share_is_the_published_one(count: int, total: int, low: float, high: float) -> None:
    share = wilson(count, total)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_share(one: int, other: int) -> None:
    count, total = min(one, other), max(one, other)
    share = wilson(count, total)
    assert 0 <= share.low <= (count / total if total else 0.5) <= share.high <= 1

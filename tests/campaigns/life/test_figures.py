"""The figures of a trial: their intervals hold, and a sample that says too little says so."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.life.figures import PRECISIONS, Counted, canonical, figures, mean_of, needed_for, t_quantile
from campaigns.life.intervals import wilson


def counted(**changes: object) -> Counted:
    usual: dict[str, object] = {
        "attempted": 200, "reached": 90, "connected": 60, "valid": 40, "abandoned": 2, "converted": 9, "complained": 0, "calls": 260,
        "conversations": 62, "talk_mean_s": 75.0, "talk_deviation_s": 40.0,
    }  # fmt: skip
    return Counted(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("degrees", "tabled"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (9, 2.262), (29, 2.045), (120, 1.980), (100_000, 1.960)],
)
def test_the_quantile_is_that_of_the_tables(degrees: int, tabled: float) -> None:
    assert t_quantile(degrees) == pytest.approx(tabled, abs=0.003)


def test_the_interval_of_the_mean_covers_the_truth_nineteen_times_of_twenty() -> None:
    chance = random.Random(7)
    held = 0
    for _ in range(2000):
        talks = [chance.gauss(80, 30) for _ in range(12)]
        found = mean_of(12, statistics.fmean(talks), statistics.stdev(talks))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 80 <= found.high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_one_conversation_has_a_mean_and_no_interval() -> None:
    document = figures(counted(conversations=1, talk_mean_s=30.0, talk_deviation_s=None))
    assert document["talk_s"]["mean"] == "30.0"
    assert document["talk_s"]["low"] is None
    assert document["talk_s"]["large_enough"] is False


def widths(rate: float, total: int) -> list[float]:
    """How wide the interval of a rate is in a sample in which only whole people occur: with one fewer and with one more."""
    found = [wilson(count, total) for count in (math.floor(rate * total), math.ceil(rate * total))]
    return [one.high - one.low for one in found]


@example(248, 0.02734375)
@given(st.integers(1, 400), st.floats(0, 1))
def test_a_sample_as_large_as_needed_is_large_enough_and_one_smaller_by_a_tenth_is_not(total: int, rate: float) -> None:
    share = wilson(round(rate * total), total)
    needed = needed_for(share, 0.05)
    assert min(widths(share.count / share.total, needed)) <= 0.1001
    fewer = int(needed * 0.85)
    if fewer > 20:
        assert max(widths(share.count / share.total, fewer)) > 0.1


def test_ten_leads_are_not_enough_for_any_share_and_the_figures_say_how_many_are() -> None:
    document = figures(counted(attempted=10, reached=5, connected=4, valid=2, abandoned=0, converted=1))
    for name, share in document["shares"].items():
        assert share["large_enough"] is False, name
        assert share["needed"] > share["total"]
        assert share["precision"] == f"{PRECISIONS[name]:.4f}"


def test_a_sample_of_nothing_has_the_widest_intervals_and_no_shares() -> None:
    nothing = dict.fromkeys(
        ("attempted", "reached", "connected", "valid", "abandoned", "converted", "calls", "conversations"), 0
    )
    document = figures(counted(**nothing, talk_mean_s=None, talk_deviation_s=None))
    assert all(
        (one["share"], one["low"], one["high"]) == (None, "0.0000", "1.0000") for one in document["shares"].values()
    )


def test_the_text_that_is_hashed_does_not_depend_on_the_order_of_what_is_in_it() -> None:
    assert canonical({"b": 1, "a": {"d": "有效接通", "c": 2}}) == '{"a":{"c":2,"d":"有效接通"},"b":1}'

"""How hours, lists and trunks answer: drawn to the project's mean by as much as chance could explain."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.profile import Profile, shrunk

MORNING, EVENING = (("hour", "9"),), (("hour", "19"),)


def a_profile(random: Random, **hours: float) -> Profile:
    """2,000 calls in each hour, answered by these shares."""
    found = Profile()
    for hour, share in hours.items():
        found.move((("hour", hour.removeprefix("h")),))
        for _ in range(2_000):
            found.ended(answered=random.random() < share)
    return found


def test_an_hour_that_is_known_to_answer_better_is_expected_to() -> None:
    profile = a_profile(Random(1), h9=0.15, h12=0.25, h19=0.35)
    assert profile.move(MORNING) == pytest.approx(0.15 / 0.35, rel=0.1)
    assert profile.move(EVENING) == pytest.approx(0.35 / 0.15, rel=0.1)
    assert profile.move(EVENING) == 1


def test_an_hour_that_was_never_dialled_goes_on_as_before() -> None:
    profile = a_profile(Random(2), h9=0.15, h19=0.35)
    assert profile.move((("hour", "13"),)) == 1


def test_the_next_day_begins_with_the_hour_and_not_with_what_was_dialled_last() -> None:
    profile = a_profile(Random(3), h9=0.15, h12=0.25, h19=0.35)
    evening = Random(7)
    for _ in range(12_000):
        profile.ended(answered=evening.random() < 0.35)  # a long evening: the life table knows little else
    tomorrow = Profile()
    tomorrow.restore(json.loads(json.dumps(profile.to_state())), same_run=False)
    assert tomorrow.move(MORNING) == pytest.approx(0.15 / 0.35, rel=0.15)


def test_a_restart_in_the_same_hour_changes_nothing() -> None:
    profile = a_profile(Random(4), h9=0.15, h19=0.35)
    restarted = Profile()
    restarted.restore(json.loads(json.dumps(profile.to_state())), same_run=True)
    assert restarted.move(EVENING) == 1
    assert restarted.to_state() == profile.to_state()


def test_lists_and_trunks_have_their_say_beside_the_hour() -> None:
    profile, random = Profile(), Random(5)
    for which, share in (("good", 0.4), ("bad", 0.1), ("usual", 0.25)):
        profile.move((("hour", "9"), ("list", which)))
        for _ in range(2_000):
            profile.ended(answered=random.random() < share)
    assert profile.move((("hour", "9"), ("list", "good"))) == pytest.approx(0.4 / 0.25, rel=0.1)


def test_no_more_groups_of_a_kind_are_kept_than_are_of_use() -> None:
    profile = Profile()
    for n in range(100):
        profile.move((("list", str(n)),))
        profile.ended(answered=True)
    kept = profile.to_state()["counts"]["list"]
    assert len(kept) == 32
    assert "99" in kept


counts = st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda two: [float(min(two)), float(max(two))])


@given(st.dictionaries(st.sampled_from("abcdef"), counts, min_size=1))
def test_a_group_lies_between_what_it_says_itself_and_the_mean(groups: dict[str, list[float]]) -> None:
    placed = sum(all_ for _, all_ in groups.values())
    mean = sum(good for good, _ in groups.values()) / placed if placed else 0.0
    for which, (good, all_) in groups.items():
        found = shrunk(groups, which)
        own = good / all_ if all_ else mean
        assert min(own, mean) - 1e-9 <= found.share <= max(own, mean) + 1e-9
        assert 0 <= found.weight <= 1


def test_groups_that_differ_by_chance_alone_are_taken_for_alike_and_different_ones_are_not() -> None:
    random = Random(6)
    alike = {str(n): [float(sum(random.random() < 0.2 for _ in range(300))), 300.0] for n in range(8)}
    apart = {str(n): [300.0 * (0.1 + 0.03 * n), 300.0] for n in range(8)}
    assert all(abs(shrunk(alike, which).share - 0.2) < 0.02 for which in alike)
    assert all(shrunk(apart, which).weight > 0.75 for which in apart)


def test_a_group_with_few_calls_says_less_than_one_with_many() -> None:
    groups = {"many": [120.0, 300.0], "few": [4.0, 10.0], "others": [400.0, 2_000.0], "more": [180.0, 600.0]}
    assert shrunk(groups, "few").weight < shrunk(groups, "many").weight

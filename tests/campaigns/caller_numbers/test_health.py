"""The statistic behind the health of caller numbers: it finds what is there, keeps quiet about what is not, and its intervals hold what they promise."""

from __future__ import annotations

import random
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.caller_numbers.health import (
    LEAST_CALLS,
    Drift,
    Measure,
    Record,
    Tally,
    difference,
    judged,
    part_of_all,
)

A, B = uuid4(), uuid4()


def a_record(calls: int, answered: int, short: int = 0, *, project: UUID = A, complaints: int = 0) -> Record:
    return Record(by_project={project: Tally(calls=calls, answered=answered, short=short)}, complaints=complaints)


def alarms(drifts: tuple[Drift, ...]) -> set[Measure]:
    return {drift.measure for drift in drifts if drift.alarm}


def test_number_that_is_answered_much_less_than_the_others_raises_an_alarm_and_only_that_one() -> None:
    found = judged({"bad": a_record(400, 40), "b": a_record(400, 120), "c": a_record(400, 118), "d": a_record(400, 131)})  # fmt: skip
    assert {number: alarms(drifts) for number, drifts in found.items()} == {"bad": {Measure.ANSWERS}, "b": set(), "c": set(), "d": set()}  # fmt: skip
    [drift] = [one for one in found["bad"] if one.measure is Measure.ANSWERS]
    assert drift.own == pytest.approx(0.1)
    assert drift.others == pytest.approx(369 / 1200)
    assert drift.low < 0.1 - 369 / 1200 < drift.high < 0
    assert "10.0% of its 400 calls" in drift.sentence


def test_number_whose_callees_hang_up_at_once_raises_an_alarm() -> None:
    found = judged({"bad": a_record(900, 300, 120), "b": a_record(900, 300, 30), "c": a_record(900, 300, 33)})
    assert {number: alarms(drifts) for number, drifts in found.items()} == {"bad": {Measure.SHORT}, "b": set(), "c": set()}  # fmt: skip


def test_number_with_most_of_the_complaints_raises_an_alarm_and_few_complaints_do_not() -> None:
    others = {str(place): a_record(1000, 300, complaints=1) for place in range(8)}
    assert alarms(judged({"bad": a_record(1000, 300, complaints=20)} | others)["bad"]) == {Measure.COMPLAINTS}
    assert alarms(judged({"few": a_record(1000, 300, complaints=2)} | others)["few"]) == set()
    assert alarms(judged({"two of two": a_record(1000, 300, complaints=2)} | {"b": a_record(9000, 2700)})["two of two"]) == set()  # fmt: skip


def test_a_number_is_not_blamed_for_the_list_it_calls() -> None:
    """One list answers at 10 %, the other at 40 %; within each the numbers do the same (Simpson's paradox in the sums)."""
    cold, warm = Tally(calls=900, answered=90), Tally(calls=100, answered=40)
    on_cold = Record(by_project={A: cold, B: warm})
    on_warm = Record(by_project={A: Tally(calls=100, answered=10), B: Tally(calls=900, answered=360)})
    found = judged({"on the cold list": on_cold, "on the warm list": on_warm})
    assert not any(alarms(drifts) for drifts in found.values())
    assert found["on the cold list"][0].low < 0 < found["on the cold list"][0].high


def test_too_few_calls_are_not_judged() -> None:
    found = judged({"new": a_record(LEAST_CALLS - 1, 0), "b": a_record(1000, 400)})
    assert found == {"new": (), "b": ()}


def test_difference_of_one_project_is_the_plain_one() -> None:
    found = difference([(30, 100, 120, 300)], 1.96)
    assert found is not None
    expected, delta, low, high = found
    assert [expected, delta] == pytest.approx([0.4, -0.1])
    plain = 1.96 * ((0.3 * 0.7 / 100) + (0.4 * 0.6 / 300)) ** 0.5
    assert (high - low) / 2 == pytest.approx(plain, rel=0.05)


def test_interval_of_the_difference_holds_the_true_one_as_often_as_it_promises() -> None:
    rng = random.Random(1)
    held = 0
    rounds = 1_500
    for _ in range(rounds):
        strata = []
        for base in (0.1, 0.3, 0.5, 0.2, 0.4):
            trials, others = rng.randint(10, 40), rng.randint(30, 120)
            strata.append((sum(rng.random() < base - 0.05 for _ in range(trials)), trials, sum(rng.random() < base for _ in range(others)), others))  # fmt: skip
        found = difference(strata, 1.959964)
        assert found is not None
        held += found[2] <= -0.05 <= found[3]
    assert 0.93 <= held / rounds <= 0.97


def test_pool_in_which_nothing_is_wrong_raises_alarms_in_less_than_one_look_of_a_hundred() -> None:
    rng = random.Random(2)
    false_alarms = 0
    for _ in range(200):
        pool = {str(place): a_record(300, sum(rng.random() < 0.25 for _ in range(300))) for place in range(10)}
        false_alarms += any(alarms(drifts) for drifts in judged(pool).values())
    assert false_alarms <= 2


@given(total=st.integers(1, 300), data=st.data())
def test_exact_interval_holds_the_share_and_misses_each_side_by_no_more_than_it_may(total: int, data: st.DataObject) -> None:  # fmt: skip
    count = data.draw(st.integers(0, total))
    low, high = part_of_all(count, total, 0.05)
    assert 0 <= low <= count / total <= high <= 1


def test_exact_interval_is_the_one_of_the_books() -> None:
    assert list(part_of_all(0, 10, 0.05)) == pytest.approx([0.0, 0.30850], abs=1e-4)
    assert list(part_of_all(5, 10, 0.05)) == pytest.approx([0.18709, 0.81291], abs=1e-4)
    assert list(part_of_all(10, 10, 0.05)) == pytest.approx([0.69150, 1.0], abs=1e-4)


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.builds(
            lambda calls, answered, short, complaints: a_record(calls, min(calls, answered), min(calls, answered, short), complaints=complaints),
            st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 30),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_every_pool_is_judged_with_shares_and_intervals_that_are_ones(pool: dict[str, Record]) -> None:
    for drifts in judged(pool).values():
        for drift in drifts:
            assert 0 <= drift.own <= 1
            assert 0 <= drift.others <= 1
            assert -1 <= drift.low <= drift.high <= 1
            assert drift.sentence

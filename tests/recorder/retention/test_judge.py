"""The retention formula: the longest minimum, the maximum, the hold; and what cannot be evaluated is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import BadPolicy
from recorder.retention.judge import Copy, Facts, Why, judge, may_release
from recorder.retention.policy import Basis, Period, Policy, read_policy

CALL = date(2026, 3, 10)


def a_policy(*minima: Mapping[str, Any], **fields: Any) -> Policy:
    return read_policy("test", 1, {"minima": list(minima), **fields})


def facts(*holds: str, **dates: date) -> Facts:
    return Facts(dates={Basis.CALL: CALL, **{Basis(name): day for name, day in dates.items()}}, holds=holds)


INSURANCE = a_policy(
    {"from": "contract_end", "years": 5}, {"from": "dispute_end", "years": 2}, {"from": "call", "months": 6}
)


@pytest.mark.parametrize(
    ("known", "expires"),
    [
        (facts(contract_end=date(2027, 1, 1)), date(2032, 1, 1)),
        (facts(contract_end=date(2027, 1, 1), dispute_end=date(2031, 5, 1)), date(2033, 5, 1)),  # the longest
        (facts(contract_end=date(2015, 1, 1)), date(2026, 9, 10)),
        (facts(), None),  # nobody has said when the contract ends
    ],
)
def test_the_longest_minimum_that_applies_decides(known: Facts, expires: date | None) -> None:
    assert judge(INSURANCE, known, CALL).expires == expires
    if expires is None:
        assert judge(INSURANCE, known, date(2200, 1, 1)).why is Why.DATE_UNKNOWN
    else:
        assert not judge(INSURANCE, known, expires - timedelta(days=1)).expired
        assert judge(INSURANCE, known, expires).expired


def test_a_hold_stands_above_everything_and_says_its_reason() -> None:
    verdict = judge(a_policy({"from": "call", "days": 1}), facts("case 17 of 2026"), date(2100, 1, 1))
    assert (verdict.expired, verdict.why) == (False, Why.ON_HOLD)
    assert "case 17 of 2026" in verdict.sentence


def test_without_a_policy_nothing_is_deleted() -> None:
    assert judge(None, facts(), date(2200, 1, 1)).why is Why.NO_POLICY


def test_a_maximum_waits_for_itself_and_never_cuts_a_minimum_short() -> None:
    maximum = {"from": "call", "years": 3}
    short = a_policy({"from": "call", "months": 6}, maximum=maximum, delete="at_maximum")
    assert judge(short, facts(), date(2027, 1, 1)).why is Why.MAXIMUM_NOT_REACHED
    assert judge(short, facts(), CALL).expires == date(2029, 3, 10)
    long = a_policy({"from": "call", "years": 5}, maximum=maximum, delete="at_maximum")
    assert judge(long, facts(), CALL).expires == date(2031, 3, 10)


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        (date(2024, 2, 29), {"years": 1}, date(2025, 2, 28)),
        (date(2026, 8, 31), {"months": 6}, date(2027, 2, 28)),
        (date(2026, 12, 31), {"days": 1}, date(2027, 1, 1)),
        (date(2026, 1, 31), {"months": 1, "days": 1}, date(2026, 3, 1)),
    ],
)
def test_periods_are_counted_in_the_calendar(start: date, period: dict[str, Any], end: date) -> None:
    assert Period(basis=Basis.CALL, **period).end(start) == end


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "minima"),
        ({"minima": []}, "minima"),
        ({"minima": [{"from": "birth", "years": 1}]}, "minima[0].from"),
        ({"minima": [{"from": "call"}]}, "minima[0]"),
        ({"minima": [{"from": "call", "years": -1}]}, "minima[0].years"),
        ({"minima": [{"from": "call", "years": True}]}, "minima[0].years"),
        ({"minima": [{"from": "call", "weeks": 3}]}, "weeks"),
        ({"minima": [{"from": "call", "years": 1}], "delete": "now"}, "delete"),
        ({"minima": [{"from": "call", "years": 1}], "delete": "at_maximum"}, "delete"),
        ({"minima": [{"from": "call", "years": 1}], "copies": 1}, "copies"),
        ({"minima": [{"from": "call", "years": 1}], "lock": "forever"}, "lock"),
        ({"minima": [{"from": "call", "years": 1}], "maximum": {"from": "contract_end", "years": 1}}, "maximum"),
        ({"minima": [{"from": "call", "years": 1}], "maxima": 3}, "maxima"),
    ],
)
def test_a_policy_that_cannot_be_read_names_the_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadPolicy, match="policy cannot be used") as caught:
        read_policy("test", 1, body)
    assert (caught.value.error_id, field in caught.value.message) == ("policy_invalid", True)


@pytest.mark.parametrize(
    ("copies", "holds", "may"),
    [
        ([(1, True, False), (2, True, False)], (), True),
        ([(1, True, False), (1, True, False)], (), False),  # the same disc twice is one
        ([(1, True, False), (2, False, False)], (), False),
        ([(1, True, False), (2, True, True)], (), False),  # lent: not in our hands
        ([(1, True, False), (2, True, False)], ("case",), False),
        ([], (), False),
    ],
)
def test_the_store_is_released_only_for_two_verified_copies_in_our_hands(
    copies: list[tuple[int, bool, bool]], holds: tuple[str, ...], may: bool
) -> None:
    found = [Copy(number=number, verified=verified, lent=lent) for number, verified, lent in copies]
    assert (may_release(INSURANCE, holds, found) == "") is may
    assert (may_release(None, holds, found) == "") is may


days = st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1))
periods = st.fixed_dictionaries({"from": st.sampled_from([*map(str, Basis)]), "days": st.integers(1, 4000)})


@given(
    minima=st.lists(periods, min_size=1, max_size=5),
    dates=st.dictionaries(st.sampled_from(list(Basis)), days),
    day=days,
    held=st.booleans(),
    cap=st.none() | st.integers(1, 4000),
)
def test_nothing_is_ever_deleted_inside_a_minimum_or_under_hold(
    minima: list[dict[str, Any]], dates: dict[Basis, date], day: date, held: bool, cap: int | None
) -> None:
    more: dict[str, Any] = {} if cap is None else {"maximum": {"from": "call", "days": cap}, "delete": "at_maximum"}
    verdict = judge(a_policy(*minima, **more), Facts(dates=dates, holds=("x",) if held else ()), day)
    if verdict.expired:
        assert not held
        for one in minima:
            start = dates.get(Basis(one["from"]))
            assert start is not None or one["from"] == "dispute_end"
            assert start is None or day >= start + timedelta(days=one["days"])

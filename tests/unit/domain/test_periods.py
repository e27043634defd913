"""Periods and budgets of the abandonment contract, against an oracle that goes through the calls with a calendar."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.budget import Lately, budget_of, open_time
from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, Period
from dialer.domain.pacing.periods import QUARTER, Span, quarter_of, span_of

# Clocks that change at midnight, by half an hour, by none; zones off by half and three quarters of an hour; a day that was left out.
ZONES = [
    "Asia/Shanghai", "Europe/London", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Santiago",
]  # fmt: skip
BEGAN = datetime(2011, 11, 7, 5, 12, 13, tzinfo=UTC)
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.integers(0, 16 * 366 * 86400).map(lambda s: datetime(2011, 12, 1, tzinfo=UTC) + timedelta(seconds=s))


@given(zones, moments, st.integers(-72 * 3600, 3 * 3600))
def test_a_call_is_of_today_when_the_calendar_of_the_zone_says_the_same_date(
    zone: ZoneInfo, now: datetime, away_s: int
) -> None:
    call = now + timedelta(seconds=away_s)
    span = span_of(Period.DAY, now, zone, BEGAN)
    assert span.until is not None
    assert (span.since <= call < span.until) == (call.astimezone(zone).date() == now.astimezone(zone).date())


@given(zones, moments, st.integers(-70 * 86400, 3600))
def test_a_call_is_of_these_30_days_when_as_many_whole_30_days_have_passed_since_the_project_began(
    zone: ZoneInfo, now: datetime, away_s: int
) -> None:
    call = now + timedelta(seconds=away_s)
    span = span_of(Period.DAYS_30, now, zone, BEGAN)
    assert span.until is not None

    def which(moment: datetime) -> int:
        days, day = 0, BEGAN.astimezone(zone).date()
        while day < moment.astimezone(zone).date():
            day, days = day + timedelta(days=1), days + 1
        return days // 30 if moment.astimezone(zone).date() >= BEGAN.astimezone(zone).date() else -1

    assert (span.since <= call < span.until) == (which(call) == which(now))


@given(moments, st.integers(0, 30 * 3600))
def test_the_last_24_hours_are_whole_and_at_most_a_quarter_of_an_hour_longer(now: datetime, ago_s: int) -> None:
    span = span_of(Period.HOURS_24, now, UTC, BEGAN)
    assert span.until is None
    if ago_s <= 24 * 3600:
        assert span.since <= now - timedelta(seconds=ago_s)
    elif ago_s >= 24 * 3600 + QUARTER.total_seconds():
        assert span.since > now - timedelta(seconds=ago_s)


@given(zones, moments, st.sampled_from(Period))
def test_every_period_begins_with_a_quarter_so_that_no_kept_sum_lies_across_its_border(
    zone: ZoneInfo, now: datetime, period: Period
) -> None:
    span = span_of(period, now, zone, BEGAN)
    assert quarter_of(span.since) == span.since
    assert span.until is None or quarter_of(span.until) == span.until
    assert span.since <= now


@given(
    st.lists(
        st.tuples(st.integers(0, 40 * 86400), st.sampled_from(["connected", "abandoned", "hung_up_early"])), max_size=80
    ),
    zones,
    moments,
    st.sampled_from(Period),
)
def test_a_budget_from_quarters_is_that_of_the_calls_of_the_period_one_by_one(
    ended: list[tuple[int, str]], zone: ZoneInfo, now: datetime, period: Period
) -> None:
    contract, span = AbandonmentContract(cap=Decimal("0.03"), period=period), span_of(period, now, zone, BEGAN)
    quarters: dict[datetime, Counter[AnsweredCall]] = {}
    for ago_s, outcome in ended:
        quarters.setdefault(quarter_of(now - timedelta(seconds=ago_s)), Counter())[AnsweredCall(outcome)] += 1
    found = budget_of(
        contract, span, sum((quarters[one] for one in quarters if one >= span.since), Counter[AnsweredCall]())
    )
    mine = [outcome for ago_s, outcome in ended if now - timedelta(seconds=ago_s) >= span.since]
    assert (found.answered, found.abandoned) == (len(mine), mine.count("abandoned"))
    assert found.allowed == 3 * len(mine) // 100
    assert found.share == (round(Decimal(mine.count("abandoned")) / len(mine), 4) if mine else None)


def test_the_projection_goes_on_like_the_last_hour_for_the_hours_that_are_left_to_dial_in() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    now = datetime(2026, 6, 1, 18, 0, tzinfo=shanghai)
    span = span_of(Period.DAY, now, shanghai, BEGAN)
    assert span.until is not None
    calls = Counter({AnsweredCall("connected"): 970, AnsweredCall("abandoned"): 30})
    lately = Lately(
        calls=Counter({AnsweredCall("connected"): 96, AnsweredCall("abandoned"): 4}),
        took=timedelta(hours=1),
        open_time=open_time(now, span.until, shanghai, time(9), time(20)),
    )
    found = budget_of(AbandonmentContract(cap=Decimal("0.03")), span, calls, lately).projected
    assert found is not None
    assert (found.open_h, found.answered, found.abandoned, found.allowed, found.left) == (2.0, 1200, 38, 36, -2)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 24), (date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_on_which_clocks_change_is_as_long_as_it_is(day: date, hours: int) -> None:
    london = ZoneInfo("Europe/London")
    span = span_of(Period.DAY, datetime.combine(day, time(12), london), london, BEGAN)
    assert span.until is not None
    assert span.until - span.since == timedelta(hours=hours)
    assert open_time(span.since, span.until, london, time(0), time(23, 59)) == timedelta(hours=hours, minutes=-1)


def test_open_time_of_30_days_is_30_times_that_of_a_day() -> None:
    shanghai = ZoneInfo("Asia/Shanghai")
    span = Span(
        datetime(2026, 6, 1, tzinfo=shanghai).astimezone(UTC), datetime(2026, 7, 1, tzinfo=shanghai).astimezone(UTC)
    )
    assert span.until is not None
    assert open_time(span.since, span.until, shanghai, time(9), time(20)) == 30 * timedelta(hours=11)

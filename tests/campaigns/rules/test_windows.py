"""Promises of windows: exact by the callee's wall clock in every zone, through every change of the clocks and every holiday, and shut when in doubt."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaigns.rules.judge import Refusal, judge
from campaigns.rules.loading import read_pack, shipped
from campaigns.rules.ruleset import Rule, combine
from campaigns.rules.windows import next_opening
from tests.campaigns.rules.packs import a_pack, a_subject, a_window

ZONES = (
    "Asia/Shanghai",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",
    "America/Havana",  # changes at midnight
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 -- made aware
MINUTES = st.integers(0, 1440)


def rule_of(*windows: dict[str, Any], **given: Any) -> Rule:
    return combine([a_pack(*windows, **given)]).rules[0]


def said(rule: Rule, at: datetime, zone: str | None) -> Refusal | None:
    return judge(rule.line, rule.calendar, a_subject(now=at, zone=zone))


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(MOMENTS, st.sampled_from(ZONES), MINUTES, MINUTES, st.sets(st.integers(0, 6), min_size=1))
@example(datetime(2026, 3, 8, 7, 0, tzinfo=UTC), "America/New_York", 150, 240, {6})  # 2:30 does not exist
@example(datetime(2026, 11, 1, 5, 50, tzinfo=UTC), "America/New_York", 0, 90, {6})  # 1:00 to 1:30 comes twice
@example(datetime(2026, 11, 1, 4, 50, tzinfo=UTC), "America/Havana", 0, 30, {6})
def test_a_window_is_open_exactly_inside_its_wall_clock_and_says_when_it_opens_next(
    at: datetime, zone: str, start: int, end: int, days: set[int]
) -> None:
    if start >= end:
        return
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    rule = rule_of(a_window(f"{clock(start)}-{clock(end)}", days=tuple(names[day] for day in days)))
    wall = at.astimezone(ZoneInfo(zone))
    spoken_of = wall.weekday() in days
    inside = start <= wall.hour * 60 + wall.minute < end
    refusal = said(rule, at, zone)
    assert (refusal is None) == (not spoken_of or inside)
    if refusal is None:
        return
    until = refusal.until
    assert until is not None
    assert at < until
    assert said(rule, until, zone) is None
    # and not earlier: every minute before it, and the last instant, is shut
    assert said(rule, until - timedelta(microseconds=1), zone) is not None
    minute = max(at, until - timedelta(hours=30))
    while minute < until:
        assert said(rule, minute, zone) is not None
        minute += timedelta(minutes=7)


def test_a_holiday_shuts_a_monday_and_a_made_up_saturday_is_worked() -> None:
    rules = combine([read_pack(shipped()["cn-general", "2026.1"])]).rules
    work, rest = (next(rule for rule in rules if rule.line.id == f"hours-{kind}day") for kind in ("work", "rest"))

    def allowed(text: str) -> bool:
        at = datetime.fromisoformat(f"{text}+08:00")
        return all(said(rule, at, "Asia/Shanghai") is None for rule in (work, rest))

    assert allowed("2026-02-14T09:30")  # Saturday, made up for
    assert not allowed("2026-03-07T09:30")  # Saturday
    assert not allowed("2026-02-16T09:30")  # Monday of the Spring Festival
    assert allowed("2026-02-16T10:30")
    assert not allowed("2026-02-16T13:00")
    assert allowed("2026-03-09T13:00")


def test_a_year_that_no_calendar_knows_is_not_dialled() -> None:
    rules = combine([read_pack(shipped()["cn-general", "2026.1"])]).rules
    rule = next(rule for rule in rules if rule.line.id == "hours-workday")
    refusal = said(rule, datetime(2028, 6, 5, 4, tzinfo=UTC), "Asia/Shanghai")
    assert refusal is not None
    assert not refusal.evaluable
    assert "2028" in refusal.reason


def test_an_unknown_zone_is_refused_unless_the_line_says_which_zones_must_be_open() -> None:
    at = datetime(2026, 6, 1, 16, 0, tzinfo=UTC)  # noon in New York, six in the morning in Hawaii
    refuse = rule_of(a_window("08:00-21:00"))
    project = rule_of(a_window("08:00-21:00", unknown_zone="project"))
    all_of = rule_of(a_window("08:00-21:00", unknown_zone=["America/New_York", "Pacific/Honolulu"]))
    missing = said(refuse, at, None)
    assert missing is not None
    assert not missing.evaluable
    assert said(project, at - timedelta(hours=12), None) is None  # noon in Shanghai
    shut = said(all_of, at, None)
    assert shut is not None
    assert shut.until == datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
    assert said(all_of, shut.until, None) is None


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    refusal = said(rule_of(a_window("00:00-24:00")), datetime(2026, 6, 1, tzinfo=UTC), zone)
    assert refusal is not None
    assert not refusal.evaluable


def test_the_first_moment_that_all_windows_share_is_found_across_packs_and_holidays() -> None:
    general = combine([read_pack(shipped()["cn-general", "2026.1"])])
    collection = combine([read_pack(shipped()["cn-collection", "2026.1"])])
    both = [(rule.line, rule.calendar) for rule in (*general.rules, *collection.rules) if rule.line.kind == "window"]
    eve = datetime(2026, 9, 30, 21, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert next_opening(both, ZoneInfo("Asia/Shanghai"), eve.astimezone(UTC)) == datetime(
        2026, 10, 1, 10, tzinfo=ZoneInfo("Asia/Shanghai")
    )


def test_windows_that_never_meet_have_no_next_opening() -> None:
    rules = combine([a_pack(a_window("08:00-10:00"), a_window("11:00-12:00"))]).rules
    windows = [(rule.line, rule.calendar) for rule in rules if rule.line.kind == "window"]
    assert next_opening(windows, ZoneInfo("UTC"), datetime(2026, 6, 1, tzinfo=UTC)) is None


def test_a_rule_speaks_only_between_its_dates_and_of_its_modes() -> None:
    line = rule_of(
        a_window(effective_from=date(2026, 1, 1), effective_until=date(2026, 7, 1), modes=["agentless"])
    ).line
    assert line.in_force(date(2026, 1, 1), "agentless")
    assert not line.in_force(date(2025, 12, 31), "agentless")
    assert not line.in_force(date(2026, 7, 1), "agentless")
    assert not line.in_force(date(2026, 1, 1), "progressive")

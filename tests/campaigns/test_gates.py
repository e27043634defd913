"""Promises of the gates: the window holds in the project's zone through every change of the clocks, and what cannot be evaluated is shut."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.caller_numbers.number import CallerNumber
from campaigns.gates import Gate, decide
from campaigns.projects import Project
from campaigns.states import AbandonmentPeriod, AtAbandonmentLimit, CallerNumberState, DialMode, ProjectState
from campaigns.trunks import Trunk

TRUNK = Trunk(
    id=uuid4(),
    name="trunk",
    node="n",
    endpoint="trunk",
    max_channels=10,
    max_cps=Decimal(5),
    number_format="e164",
    enabled=True,
)
NUMBERS = tuple(CallerNumber(id=uuid4(), number=f"+86108888000{place}", trunk_id=TRUNK.id) for place in range(3))
PROJECT = Project(
    id=uuid4(), name="p", client="", state=ProjectState.RUNNING, mode=DialMode.PROGRESSIVE, ratio=Decimal(1), trunk=TRUNK, zone="Asia/Shanghai",
    window_start=time(9), window_end=time(20), ring_timeout_s=30, agent_wait_ms=2000, wrap_up_limit_s=60, preview_limit_s=60,
    abandonment_cap=Decimal("0.03"), abandonment_period=AbandonmentPeriod.DAY, abandonment_at_limit=AtAbandonmentLimit.ONE_TO_ONE,
    abandonment_within_ms=2000, abandonment_counts_late=True, abandonment_counts_machines=False, abandonment_false_machine_rate=Decimal(0),
    cancel_after_s=0, share_weight=1, share_priority=0, guaranteed_agents=0, max_attempts=3, daily_cap_per_number=3, safe_harbour="safe-harbour", record_calls=True, mask_numbers=True, script="",
    created_at=datetime(2026, 1, 1, tzinfo=UTC), caller_numbers=NUMBERS, agent_ids=frozenset(), dispositions=(), retry_rules=(),
)  # fmt: skip
OPEN = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


def test_a_project_with_everything_in_order_may_dial() -> None:
    assert decide(PROJECT, OPEN).gate is Gate.OPEN
    assert decide(PROJECT, OPEN).allowed


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"state": ProjectState.PAUSED}, Gate.PROJECT_NOT_RUNNING),
        ({"trunk": None}, Gate.NO_TRUNK),
        ({"trunk": replace(TRUNK, enabled=False)}, Gate.TRUNK_DISABLED),
        ({"caller_numbers": ()}, Gate.NO_CALLER_NUMBER),
        ({"caller_numbers": (replace(NUMBERS[0], state=CallerNumberState.RESTING),)}, Gate.NO_CALLER_NUMBER),
        ({"caller_numbers": (replace(NUMBERS[0], trunk_id=uuid4()),)}, Gate.NO_CALLER_NUMBER),
        ({"caller_numbers": (replace(NUMBERS[0], purposes=frozenset({"surveys"})),)}, Gate.NO_CALLER_NUMBER),
        ({"caller_numbers": (replace(NUMBERS[0], certified=()),)}, Gate.NO_CALLER_NUMBER),
        (
            {"caller_numbers": (replace(NUMBERS[0], cools_until=datetime(2026, 6, 1, 4, 1, tzinfo=UTC)),)},
            Gate.NO_CALLER_NUMBER,
        ),
        ({"zone": "Mars/Olympus"}, Gate.ZONE_UNKNOWN),
        ({"zone": "../../etc/passwd"}, Gate.ZONE_UNKNOWN),
        ({"zone": ""}, Gate.ZONE_UNKNOWN),
        ({"window_start": time(20), "window_end": time(9)}, Gate.WINDOW_INVALID),
        ({"window_start": time(9), "window_end": time(9)}, Gate.WINDOW_INVALID),
        ({"window_start": None}, Gate.NOT_EVALUABLE),
        ({"caller_numbers": None}, Gate.NOT_EVALUABLE),
        ({"zone": None}, Gate.NOT_EVALUABLE),
        ({"mode": "telepathy"}, Gate.NOT_EVALUABLE),
    ],
)
def test_what_is_missing_or_cannot_be_evaluated_shuts_the_gate(changes: dict[str, Any], gate: Gate) -> None:
    verdict = decide(replace(PROJECT, **changes), OPEN)
    assert (verdict.allowed, verdict.gate) == (False, gate)
    assert verdict.reason


def test_a_time_without_a_zone_shuts_the_gate() -> None:
    assert decide(PROJECT, OPEN.replace(tzinfo=None)).gate is Gate.NOT_EVALUABLE


@pytest.mark.parametrize(
    ("local", "allowed"),
    [("08:59:59.999999", False), ("09:00", True), ("19:59:59.999999", True), ("20:00", False), ("00:00", False)],
)
def test_the_window_includes_its_beginning_and_not_its_end(local: str, allowed: bool) -> None:
    moment = datetime.combine(datetime(2026, 6, 1).date(), time.fromisoformat(local), ZoneInfo("Asia/Shanghai"))  # noqa: DTZ001 -- a date
    assert decide(PROJECT, moment.astimezone(UTC)).allowed is allowed


@given(
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 -- made aware below
    zone=st.sampled_from(
        [
            "Asia/Shanghai",
            "America/New_York",
            "Europe/London",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "America/Havana",
            "Pacific/Apia",
            "UTC",
        ]
    ),
    start=st.times(),
    end=st.times(),
)
def test_in_any_zone_on_any_day_calls_are_placed_only_at_local_times_inside_the_window(
    moment: datetime, zone: str, start: time, end: time
) -> None:
    now = moment.replace(tzinfo=UTC)
    verdict = decide(replace(PROJECT, zone=zone, window_start=start, window_end=end), now)
    wall = now.astimezone(ZoneInfo(zone)).time()
    assert verdict.allowed == (start < end and start <= wall < end)
    if verdict.gate is Gate.OUTSIDE_WINDOW:
        assert verdict.opens_at is not None
        assert now < verdict.opens_at <= now + timedelta(hours=27)


def test_on_the_day_the_clocks_go_forward_the_window_opens_by_the_wall_clock() -> None:
    project = replace(PROJECT, zone="America/New_York", window_start=time(9), window_end=time(21))
    night = datetime(2026, 3, 8, 6, 30, tzinfo=UTC)  # half an hour before 2:00 becomes 3:00
    assert decide(project, night).opens_at == datetime(2026, 3, 8, 13, 0, tzinfo=UTC)  # the day before it was 14:00 UTC
    assert not decide(project, datetime(2026, 3, 8, 12, 59, tzinfo=UTC)).allowed
    assert decide(project, datetime(2026, 3, 8, 13, 0, tzinfo=UTC)).allowed


def test_a_window_in_the_hour_that_comes_twice_is_open_both_times() -> None:
    project = replace(PROJECT, zone="America/New_York", window_start=time(1, 15), window_end=time(1, 45))
    for hour in (5, 6):
        assert decide(project, datetime(2026, 11, 1, hour, 30, tzinfo=UTC)).allowed
    assert not decide(project, datetime(2026, 11, 1, 6, 0, tzinfo=UTC)).allowed

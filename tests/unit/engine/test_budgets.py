"""What trunks, caller numbers and the node can take, and who gets it when several projects want it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from campaigns.caller_numbers.number import CallerNumber
from campaigns.projects import Project
from campaigns.states import CallerNumberState
from campaigns.trunks import Trunk
from dialer.db.nodes import NodeLimits
from dialer.domain.pacing import Limit, Mode
from dialer.engine.allotting import Allotting, Wish
from dialer.engine.budgets import NO_BOUND, Budgets
from dialer.engine.floor import Call, Floor
from tests.campaigns.test_gates import OPEN, PROJECT, TRUNK

NUMBER = CallerNumber(id=uuid4(), number="+861088880000", trunk_id=TRUNK.id)


def budgets(**node: Any) -> Budgets:
    made = Budgets(Floor())
    made.node = NodeLimits(**node)
    return made


def a_call(floor: Floor, project: Project = PROJECT, trunk: Trunk = TRUNK) -> Call:
    call = Call(
        attempt_id=uuid4(), project_id=project.id, lead_id=None, number="+8613800000000", mode=Mode.PROGRESSIVE, trunk_id=trunk.id,
        caller_number=NUMBER.number, created_at=datetime(2026, 1, 1, tzinfo=UTC), placed_s=0.0,
    )  # fmt: skip
    floor.add(call)
    return call


def test_smallest_budget_counts_and_says_which_it_is() -> None:
    of = budgets(max_channels=3)
    project = replace(PROJECT, caller_numbers=(replace(NUMBER, max_channels=2),))
    trunk = replace(TRUNK, max_channels=5, max_cps=Decimal(40))
    room = of.room(project, trunk, 0.0, OPEN)
    assert dict(room.because) == {
        "room_trunk_channels": 5,
        "room_cps": 4,
        "room_caller_number_limit": 2,
        "room_node": 3,
    }
    assert room.smallest == (2, Limit.CALLER_NUMBER_LIMIT)
    of.node = NodeLimits(max_channels=1)
    assert of.room(project, trunk, 0.0, OPEN).smallest == (1, Limit.NODE)


def test_channels_are_counted_as_calls_come_and_go_and_while_they_are_claimed() -> None:
    floor = Floor()
    of = Budgets(floor)
    call = a_call(floor)
    floor.add(call)  # heard of twice
    with of.reserved(TRUNK, 4):
        assert of.channels_left(TRUNK) == TRUNK.max_channels - 5
    floor.drop(call, 0)
    floor.drop(call, 0)
    assert of.channels_left(TRUNK) == TRUNK.max_channels


def of_project(**changes: Any) -> Project:
    return replace(PROJECT, caller_numbers=(replace(NUMBER, **changes),))


def shown(of: Budgets, project: Project, at_s: float) -> str | None:
    """What the next call shows, taken at once, as after a claim of one lead."""
    offers = of.offers(project, TRUNK, at_s, OPEN)
    if not offers:
        return None
    best = min(offers, key=lambda offer: offer.uses)
    of.take(project, best.number, at_s)
    return best.number


def test_caller_number_carries_no_more_calls_at_once_than_it_may() -> None:
    of, project = budgets(), of_project(max_channels=2)
    assert of.offers(project, TRUNK, 0.0, OPEN)[0].room == 2
    assert [shown(of, project, 0.0) for _ in range(3)] == [NUMBER.number, NUMBER.number, None]
    of.free(NUMBER.number)
    assert shown(of, project, 0.0) == NUMBER.number


def test_caller_number_keeps_its_rate_of_new_calls() -> None:
    of, project = budgets(), of_project(max_cps=Decimal(2))
    placed = sum(shown(of, project, tenth / 10) is not None for tenth in range(101))
    assert placed == 21


def test_caller_number_keeps_its_hour_and_is_not_used_before_its_last_hour_is_known() -> None:
    of, project = budgets(), of_project(max_per_hour=3)
    assert of.hours_unknown(project.caller_numbers) == {NUMBER.number}
    assert shown(of, project, 10_000.0) is None
    of.hour_was(NUMBER.number, [3_590.0, 10.0], 10_000.0)
    assert of.hours_unknown(project.caller_numbers) == set()
    assert shown(of, project, 10_000.0) == NUMBER.number
    of.free(NUMBER.number)
    assert shown(of, project, 10_001.0) is None
    assert shown(of, project, 10_011.0) == NUMBER.number


def test_idle_pool_is_offered_with_the_longest_unused_first_and_says_how_much_each_is_in_use() -> None:
    of, project = budgets(), PROJECT
    for number in project.caller_numbers:
        of.take(project, number.number, 0.0)
    first, second, third = (number.number for number in project.caller_numbers)
    of.free(first)
    of.take(project, first, 1.0)
    of.free(second)
    assert [(one.number, one.uses) for one in of.offers(project, TRUNK, 1.0, OPEN)] == [
        (second, 0),
        (third, 1),
        (first, 1),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": CallerNumberState.RESTING},
        {"state": CallerNumberState.RETIRED},
        {"trunk_id": uuid4()},
        {"certified": ((date(2025, 1, 1), date(2026, 6, 1)),)},
        {"purposes": frozenset({"surveys"})},
        {"cools_until": OPEN + timedelta(seconds=1)},
        {"max_per_day": 2, "used_on": date(2026, 6, 1), "used_today": 2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_number_that_may_not_be_shown_is_not_offered(changes: dict[str, Any]) -> None:
    assert budgets().offers(of_project(**changes), TRUNK, 0.0, OPEN) == ()


def test_zone_that_does_not_exist_offers_nothing_and_breaks_nothing() -> None:
    assert budgets().offers(replace(PROJECT, zone="Mars/Olympus"), TRUNK, 0.0, OPEN) == ()


def test_node_keeps_its_rate_over_all_trunks() -> None:
    of = budgets(max_cps=Decimal(10))
    other = replace(TRUNK, id=uuid4())
    of.spend(TRUNK, 1, 0.0)
    assert of.room(PROJECT, other, 0.0, OPEN).smallest == (0, Limit.NODE)
    assert of.wait_s(other, 0.0) == pytest.approx(0.1)


def wishes(*projects: Project, count: int = 1_000, trunk: Trunk = TRUNK) -> list[Wish]:
    return [Wish(project, trunk, count, Limit.AGENTS) for project in projects]


def named(**settings: Any) -> Project:
    return replace(PROJECT, id=uuid4(), **settings)


def test_channels_are_divided_by_weight_and_none_is_promised_twice() -> None:
    allotting, (big, small) = Allotting(budgets()), (named(share_weight=3), named())
    trunk = replace(TRUNK, max_channels=8, max_cps=Decimal(1_000))
    wanted = wishes(big, small, trunk=trunk)
    allotting.divide(wanted, {}, 0.0)
    assert [(wish.count, wish.limit) for wish in wanted] == [(6, Limit.TRUNK_CHANNELS), (2, Limit.TRUNK_CHANNELS)]


def test_channels_in_use_count_against_their_project() -> None:
    allotting, (first, second) = Allotting(budgets()), (named(), named())
    trunk = replace(TRUNK, max_channels=4, max_cps=Decimal(1_000))
    wanted = wishes(first, second, trunk=trunk)
    allotting.divide(wanted, {first.id: 6, second.id: 4}, 0.0)
    assert [wish.count for wish in wanted] == [1, 3]


def test_rate_is_shared_over_an_hour_to_one_percent_whatever_a_greedy_neighbour_wants() -> None:
    of = budgets()
    allotting = Allotting(of)
    projects = [named(share_weight=weight) for weight in (1, 4, 5)]
    trunk = replace(TRUNK, max_channels=1_000_000, max_cps=Decimal(7))
    placed: Counter[UUID] = Counter()
    at_s = 0.0
    while at_s < 3_600:
        wanted = [Wish(project, trunk, 1 if n == 0 else 500, Limit.AGENTS) for n, project in enumerate(projects)]
        allotting.divide(wanted, {}, at_s)
        for wish in wanted:
            placed[wish.project.id] += wish.count
        of.spend(trunk, sum(wish.count for wish in wanted), at_s)
        at_s += max(0.02, of.wait_s(trunk, at_s))
    assert placed.total() == pytest.approx(7 * 3_600, abs=2)
    for project in projects:
        assert placed[project.id] / placed.total() == pytest.approx(project.share_weight / 10, rel=0.01)


def test_what_nobody_is_short_of_is_not_cut() -> None:
    allotting, project = Allotting(budgets()), named()
    wanted = wishes(project, count=1)
    allotting.divide(wanted, {}, 0.0)
    assert (wanted[0].count, wanted[0].limit) == (1, Limit.AGENTS)
    assert budgets().node_left(0.0) == (NO_BOUND, NO_BOUND)

"""Stop rules: not fooled by a few calls, seldom wrong while all is as tolerated, soon right when it is not, and the same cost for ever."""

from __future__ import annotations

import random
import statistics
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import BadInput
from campaigns.life.stop_rules import RuleKind, StopRule, Watch
from campaigns.life.watching import (
    REPLAYED,
    AlarmKind,
    alarms,
    clear_alarms,
    last_calls,
    raise_alarm,
    rules_in_force,
    save_stop_rules,
)
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from campaigns.supply.lasting import shortage
from tests.builders import NOON, a_lead, a_project, an_attempt

COMPLAINTS = StopRule(kind=RuleKind.COMPLAINTS, tolerated=0.002, alarming=0.01)
ANSWERS = StopRule(kind=RuleKind.ANSWERS, tolerated=0.30, alarming=0.10)
ABANDONMENT = StopRule(kind=RuleKind.ABANDONMENT, tolerated=0.02, alarming=0.06)


def run_length(rule: StopRule, share: float, chance: random.Random, most: int = 400_000) -> int:
    """Calls until it stops."""
    watch = Watch(rule=rule)
    while not watch.stops and watch.calls < most:
        watch.see(hit=chance.random() < share)
    return watch.calls


@given(st.sampled_from([COMPLAINTS, ANSWERS, ABANDONMENT]), st.lists(st.booleans(), min_size=3, max_size=3))
def test_no_three_calls_stop_a_project(rule: StopRule, hits: list[bool]) -> None:
    watch = Watch(rule=rule)
    for hit in hits:
        watch.see(hit=hit)
        assert not watch.stops
        assert watch.evidence < 1


@pytest.mark.parametrize(
    ("rule", "hit", "least"), [(COMPLAINTS, True, 6), (ABANDONMENT, True, 9), (ANSWERS, False, 39)]
)
def test_the_worst_run_there_is_takes_as_many_calls_as_the_page_says(rule: StopRule, hit: bool, least: int) -> None:
    watch = Watch(rule=StopRule(kind=rule.kind, tolerated=rule.tolerated, alarming=rule.alarming, least_calls=1))
    while not watch.stops:
        watch.see(hit=hit)
    assert watch.calls in {least, least + 1}


@pytest.mark.parametrize("rule", [COMPLAINTS, ANSWERS, ABANDONMENT], ids=lambda rule: rule.kind.value)
def test_while_all_is_as_tolerated_false_stops_are_on_average_at_least_as_far_apart_as_said(rule: StopRule) -> None:
    chance = random.Random(5)
    often = StopRule(
        kind=rule.kind, tolerated=rule.tolerated, alarming=rule.alarming, false_stop_calls=500, least_calls=1
    )
    lengths = [run_length(often, rule.tolerated, chance) for _ in range(60)]
    assert statistics.fmean(lengths) > 500


@pytest.mark.parametrize(
    ("rule", "within"),
    [(COMPLAINTS, 2200), (ANSWERS, 140), (ABANDONMENT, 450)],
    ids=lambda one: getattr(getattr(one, "kind", None), "value", str(one)),
)
def test_when_the_share_is_alarming_it_stops_soon(rule: StopRule, within: int) -> None:
    chance = random.Random(11)
    lengths = [run_length(rule, rule.alarming, chance) for _ in range(60)]
    assert statistics.fmean(lengths) < within


def test_it_does_not_stop_before_its_least_calls_whatever_it_sees() -> None:
    watch = Watch(rule=StopRule(kind=RuleKind.ABANDONMENT, tolerated=0.01, alarming=0.9, least_calls=50))
    for _ in range(49):
        watch.see(hit=True)
        assert not watch.stops
    watch.see(hit=True)
    assert watch.stops


def test_a_complaint_that_comes_with_the_result_counts_as_one_that_came_with_the_call() -> None:
    at_once, later = Watch(rule=COMPLAINTS), Watch(rule=COMPLAINTS)
    for _ in range(3):
        at_once.see(hit=True)
        later.see(hit=True)
    at_once.see(hit=True)
    later.see(hit=False)
    later.turn()
    assert (later.hits, later.calls) == (at_once.hits, at_once.calls)
    assert later.score == pytest.approx(at_once.score)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tolerated": 0.02, "alarming": 0.01},
        {"tolerated": 0.0, "alarming": 0.01},
        {"tolerated": 0.1, "alarming": 0.1},
        {"tolerated": 0.1, "alarming": 0.2, "least_calls": 0},
    ],
)
def test_a_rule_that_cannot_be_judged_is_no_rule(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"shares lie|at least"):
        StopRule(kind=RuleKind.COMPLAINTS, **wrong)  # type: ignore[arg-type]


@pytest.mark.services
async def test_rules_are_saved_as_a_whole_and_one_that_stays_counts_on(pool: Pool) -> None:
    project = await a_project(pool)
    later = NOON + timedelta(hours=1)
    await save_stop_rules(pool, project.id, [COMPLAINTS, ANSWERS], NOON)
    stricter = StopRule(kind=RuleKind.ABANDONMENT, tolerated=0.01, alarming=0.02)
    await save_stop_rules(pool, project.id, [COMPLAINTS, stricter], later)
    found = await rules_in_force(pool, [project.id])
    assert [(one.rule, one.since) for one in found] == [(stricter, later), (COMPLAINTS, NOON)]
    with pytest.raises(BadInput) as twice:
        await save_stop_rules(pool, project.id, [COMPLAINTS, COMPLAINTS], NOON)
    assert twice.value.error_id == "stop_rule_twice"


@pytest.mark.services
async def test_looking_back_reads_no_more_than_the_newest_calls_by_the_index(pool: Pool) -> None:
    project = await a_project(pool, daily_cap_per_number=9)
    for minute in range(4):
        at = NOON + timedelta(minutes=minute)
        one = await an_attempt(pool, project, now=at)
        await finish(
            pool,
            [EndedAttempt(attempt_id=one.attempt_id, outcome="abandoned", ended_at=at, answered_at=at, abandoned=True)],
        )
    unsent = await an_attempt(pool, project, now=NOON)
    await finish(pool, [EndedAttempt(attempt_id=unsent.attempt_id, outcome="not_sent", ended_at=NOON)])
    found = await last_calls(pool, project.id, NOON + timedelta(minutes=1), 2)
    assert [one.ended_at for one in found] == [NOON + timedelta(minutes=2), NOON + timedelta(minutes=3)]
    assert all(one.abandoned for one in found)
    assert REPLAYED <= 2000


@pytest.mark.services
async def test_an_alarm_is_raised_once_and_cleared_once(pool: Pool) -> None:
    project = await a_project(pool)
    assert await raise_alarm(pool, project.id, AlarmKind.SUPPLY, NOON, {"fresh": 3}) is not None
    assert await raise_alarm(pool, project.id, AlarmKind.SUPPLY, NOON, {"fresh": 2}) is None
    [cleared] = await clear_alarms(pool, project.id, [AlarmKind.SUPPLY], NOON + timedelta(minutes=1))
    assert cleared.detail == {"fresh": 3}
    assert await clear_alarms(pool, project.id, [AlarmKind.SUPPLY], NOON) == []
    assert await alarms(pool, project.id, open_only=True) == []
    assert len(await alarms(pool, project.id)) == 1


@pytest.mark.services
async def test_data_is_short_when_it_ends_within_the_alarm_hours_and_no_more_when_it_lasts_a_tenth_longer(
    pool: Pool,
) -> None:
    project = await a_project(pool)
    for _ in range(3):  # three first calls an hour at most: the first was half an hour ago, so six an hour
        await an_attempt(pool, project, now=NOON - timedelta(minutes=30))
    for _ in range(24):
        await a_lead(pool, project.id)
    found = await shortage(pool, project.id, NOON, raised=False)
    assert (found.short, found.alarm_hours) == (True, 4)
    assert found.per_hour == pytest.approx(6, abs=0.1)
    await a_lead(pool, project.id)
    assert (await shortage(pool, project.id, NOON, raised=False)).short is False
    assert (await shortage(pool, project.id, NOON, raised=True)).short is True
    for _ in range(3):
        await a_lead(pool, project.id)
    assert (await shortage(pool, project.id, NOON, raised=True)).short is False


@pytest.mark.services
async def test_a_list_without_fresh_leads_is_short_even_when_nothing_is_dialled(pool: Pool) -> None:
    project = await a_project(pool)
    assert (await shortage(pool, project.id, NOON, raised=False)).short is True
    await a_lead(pool, project.id)
    assert (await shortage(pool, project.id, NOON, raised=False)).short is False

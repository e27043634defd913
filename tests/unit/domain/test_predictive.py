"""The predictive policy: what it may never do, whatever it has learned."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.domain.pacing import FlightState, Limit, Mode, Observation, Seen, Snapshot
from dialer.domain.pacing.beliefs import Running
from dialer.domain.pacing.costs import Costs
from dialer.domain.pacing.forecast import POINTS, rows_of
from dialer.domain.pacing.predictive import Predictive, _at_work
from dialer.domain.states import AgentState
from dialer.simulation import Floor, World, always

Flight = tuple[FlightState, float]
Agent = tuple[AgentState, float]

ages = st.floats(0, 70)
ringing = st.tuples(st.just(FlightState.PLACED), ages)
in_any_flight = st.tuples(st.sampled_from(FlightState), ages)
busy = st.tuples(st.sampled_from([AgentState.TALKING, AgentState.WRAP_UP, AgentState.RESERVED]), st.floats(0, 700))
budgets = st.tuples(st.integers(0, 3_000), st.integers(0, 90))  # answered, abandoned


def a_snapshot(
    flying: list[Flight],
    agents: list[Agent],
    *,
    ready: int,
    counted: tuple[int, int] = (1_000, 20),
    cap: float = 0.03,
    **more: Any,
) -> Snapshot:
    return Snapshot(
        project_id=UUID(int=1),
        at_s=100.0,
        mode=Mode.PREDICTIVE,
        ratio=1.0,
        agents=((AgentState.READY, 1.0),) * ready + tuple(agents),
        ready=ready,
        in_flight=tuple((UUID(int=n), state, age) for n, (state, age) in enumerate(flying)),
        abandonment_cap=cap,
        agent_wait_s=2.0,
        answered=counted[0],
        abandoned=counted[1],
        **more,
    )


@cache
def learned() -> str:
    """The state of a policy after an hour on a floor of 20."""
    policy = Predictive()
    Floor(World(agents=20, answer=always(0.25), hours=1), policy, Random(1)).run()
    return json.dumps(policy.to_state())


def an_experienced_policy() -> Predictive:
    """Its tables are made for the first snapshot, so that several can be put to it with equal beliefs."""
    policy = Predictive.from_state(json.loads(learned()))
    policy.decide(a_snapshot([], [(AgentState.TALKING, 20.0)], ready=0))
    return policy


@given(
    st.lists(in_any_flight, max_size=60), st.lists(busy, max_size=40), st.integers(0, 30), budgets, st.integers(0, 50)
)
def test_it_never_places_less_than_nothing_nor_more_than_the_budget(
    flying: list[Flight], agents: list[Agent], ready: int, counted: tuple[int, int], budget: int
) -> None:
    snapshot = a_snapshot(flying, agents, ready=ready, counted=counted, budget=budget)
    assert 0 <= an_experienced_policy().decide(snapshot).place <= budget


@given(st.lists(in_any_flight, max_size=60), st.lists(busy, max_size=40), st.integers(0, 30), st.integers(0, 3_000))
def test_at_the_guard_it_dials_one_to_one(flying: list[Flight], agents: list[Agent], ready: int, answered: int) -> None:
    over = a_snapshot(flying, agents, ready=ready, counted=(answered, 100 + answered))
    decision = an_experienced_policy().decide(over)
    assert decision.place == max(0, ready - len(flying))
    if ready or agents:
        assert decision.limited_by is Limit.ABANDONMENT


@given(
    st.lists(in_any_flight, max_size=60),
    st.lists(busy, max_size=40),
    st.integers(0, 30),
    budgets,
    st.sampled_from([0.01, 0.03]),
)
def test_more_free_agents_never_mean_fewer_calls(
    flying: list[Flight], agents: list[Agent], ready: int, counted: tuple[int, int], cap: float
) -> None:
    policy = an_experienced_policy()
    before = policy.decide(a_snapshot(flying, agents, ready=ready, counted=counted, cap=cap)).place
    after = policy.decide(a_snapshot(flying, agents, ready=ready + 1, counted=counted, cap=cap)).place
    assert after >= before


@settings(max_examples=300)
@given(
    st.lists(ringing, max_size=60),
    st.lists(busy, max_size=40),
    st.integers(0, 30),
    in_any_flight,
    budgets,
    st.sampled_from([0.01, 0.03]),
)
@example([], [(AgentState.WRAP_UP, 0.0)], 13, (FlightState.PLACED, 0.0), (0, 3), 0.01)  # where exact sums end
@example([], [(AgentState.WRAP_UP, 0.0)] * 2, 12, (FlightState.PLACED, 1.0), (0, 3), 0.01)  # leaning far to the left
def test_more_calls_under_way_never_mean_more_calls(
    flying: list[Flight], agents: list[Agent], ready: int, one: Flight, counted: tuple[int, int], cap: float
) -> None:
    policy = an_experienced_policy()
    before = policy.decide(a_snapshot(flying, agents, ready=ready, counted=counted, cap=cap)).place
    after = policy.decide(a_snapshot([*flying, one], agents, ready=ready, counted=counted, cap=cap)).place
    assert after <= before


@settings(max_examples=300)
@given(st.data(), st.lists(in_any_flight, max_size=60), st.lists(busy, max_size=40), st.integers(0, 30), budgets)
def test_one_agent_more_known_to_leave_never_means_more_calls(
    data: st.DataObject, flying: list[Flight], agents: list[Agent], ready: int, counted: tuple[int, int]
) -> None:
    crew = ready + len(agents)
    going = data.draw(st.dictionaries(st.integers(0, max(0, crew - 1)), st.floats(0, 40), max_size=min(crew, 6)))
    *before, last = [*going.items()] or [(0, 0.0)]
    snapshot = a_snapshot(flying, agents, ready=ready, counted=counted)
    if not crew:
        return
    policy = an_experienced_policy()
    fewer = policy.decide(replace(snapshot, leaving=tuple(before))).place
    assert policy.decide(replace(snapshot, leaving=(*before, last))).place <= fewer


def test_agents_who_leave_before_the_answer_are_not_dialled_for() -> None:
    soon_free = [(AgentState.WRAP_UP, 14.0)] * 8
    all_leave = tuple((n, 2.0) for n in range(8))
    assert an_experienced_policy().decide(a_snapshot([], soon_free, ready=0, leaving=all_leave)).place == 0
    assert an_experienced_policy().decide(a_snapshot([], [], ready=8, leaving=all_leave)).place == 0


def test_agents_who_leave_later_than_calls_ring_are_dialled_for_as_ever() -> None:
    soon_free = [(AgentState.WRAP_UP, 14.0)] * 8
    snapshot = a_snapshot([], soon_free, ready=2)
    later = replace(snapshot, leaving=tuple((n, 300.0) for n in range(10)))
    assert an_experienced_policy().decide(later) == an_experienced_policy().decide(snapshot)


def test_calls_under_way_are_given_up_when_those_they_were_for_will_be_gone() -> None:
    flying: list[Flight] = [(FlightState.PLACED, 16.0)] * 12
    snapshot = a_snapshot(flying, [(AgentState.WRAP_UP, 14.0)] * 8, ready=0, cancel_after_s=15.0)
    assert an_experienced_policy().decide(snapshot).cancel == ()
    going = replace(snapshot, leaving=tuple((n, 1.0) for n in range(8)))
    assert len(an_experienced_policy().decide(going).cancel) >= 10


@given(st.lists(in_any_flight, max_size=60), st.lists(busy, max_size=40), st.integers(0, 30), budgets)
def test_a_restart_decides_as_before(
    flying: list[Flight], agents: list[Agent], ready: int, counted: tuple[int, int]
) -> None:
    policy = Predictive.from_state(json.loads(learned()))
    again = Predictive.from_state(json.loads(json.dumps(policy.to_state())))
    snapshot = a_snapshot(flying, agents, ready=ready, counted=counted)
    assert again.decide(snapshot) == policy.decide(snapshot)


def test_state_of_another_make_is_left_alone_and_learned_anew() -> None:
    state = json.loads(learned())
    state["knowledge"]["talk"]["ends"] = [[1.0], [1.0]]
    assert Predictive.from_state(state).to_state()["knowledge"]["talk"]["count"] == 0


def test_without_anything_to_learn_from_it_stays_progressive() -> None:
    policy = Predictive()
    for second in range(600):
        snapshot = replace(a_snapshot([(FlightState.PLACED, 3.0)] * 2, [], ready=9), at_s=float(second))
        assert policy.decide(snapshot).place == 7


def test_while_the_budget_is_not_known_it_dials_one_to_one() -> None:
    agents = [(AgentState.WRAP_UP, 14.0)] * 8
    unknown = replace(a_snapshot([], agents, ready=3), counted=False)
    decision = an_experienced_policy().decide(unknown)
    assert (decision.place, decision.limited_by) == (3, Limit.ABANDONMENT)


def test_a_dead_list_does_not_fill_the_trunk() -> None:
    policy = an_experienced_policy()
    for _ in range(3_000):
        policy.observe(Observation(Seen.FAILED, 1.0))
    crew = [(AgentState.TALKING, 30.0)] * 2
    assert policy.decide(replace(a_snapshot([], crew, ready=8), at_s=150.0)).place <= 15 * 10


def test_an_experienced_policy_dials_ahead_of_its_agents() -> None:
    soon_free = [(AgentState.WRAP_UP, 14.0)] * 8
    assert an_experienced_policy().decide(a_snapshot([], soon_free, ready=0)).place > 8


def test_agents_who_have_just_begun_to_talk_are_not_dialled_for() -> None:
    assert an_experienced_policy().decide(a_snapshot([], [(AgentState.TALKING, 0.0)] * 8, ready=0)).place == 0


def test_calls_that_rang_long_enough_are_given_up_only_where_the_rules_allow_it() -> None:
    flying: list[Flight] = [(FlightState.PLACED, 16.0)] * 12 + [(FlightState.PLACED, 8.0)] * 12
    snapshot = a_snapshot(flying, [(AgentState.TALKING, 1.0)] * 8, ready=0)
    assert an_experienced_policy().decide(snapshot).cancel == ()
    canceled = an_experienced_policy().decide(replace(snapshot, cancel_after_s=15.0)).cancel
    assert canceled
    assert {attempt.int for attempt in canceled} <= set(range(12))


def test_a_list_that_suddenly_answers_more_is_dialled_less() -> None:
    policy = an_experienced_policy()
    crew = [(AgentState.WRAP_UP, 10.0)] * 10
    flying: list[Flight] = [(FlightState.PLACED, 9.0)] * 10

    def place(at_s: float) -> int:
        return policy.decide(replace(a_snapshot(flying, crew, ready=6), at_s=at_s)).place

    before = place(101.0)
    for second in range(20):
        for _ in range(3):
            policy.observe(Observation(Seen.ANSWERED, 9.0))
        after = place(102.0 + second)
    assert after < before


@pytest.mark.parametrize(("agents", "cap", "least"), [(6, 0.03, 0.62), (12, 0.01, 0.68)])
def test_a_simulated_day_keeps_the_cap_and_the_agents_busy(agents: int, cap: float, least: float) -> None:
    world = World(agents=agents, answer=always(0.25), hours=5, cap=cap)
    day = Floor(world, Predictive(), Random(7)).run()
    assert day.abandoned <= cap * day.answered
    assert day.abandoned >= 1
    assert day.utilisation > least


@given(st.lists(ringing, max_size=40), st.lists(busy, max_size=40), st.integers(0, 20), st.integers(0, 9))
def test_less_room_in_the_quarter_of_an_hour_never_means_more_calls(
    flying: list[Flight], agents: list[Agent], ready: int, room: int
) -> None:
    policy = an_experienced_policy()
    assert policy._forecast is not None
    snapshot = a_snapshot(flying, agents, ready=ready)
    running = Running(np.array([age for _, age in flying]), *_at_work(snapshot.agents)[:2])
    costs = Costs(
        policy._forecast, rows_of(running, np.empty(0)), float(ready), np.zeros(POINTS), np.empty((0, POINTS))
    )
    assert costs.most(0.05, 200, room) <= costs.most(0.05, 200, room + 1) <= costs.most(0.05, 200)

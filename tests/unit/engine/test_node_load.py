"""A machine that is late gets fewer new calls, and as many as before when it is in time again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from dialer.domain.pacing import Limit
from dialer.engine.budgets import NO_BOUND, Budgets
from dialer.engine.floor import Floor
from dialer.engine.node_load import LEAST_CPS, NodeLoad
from tests.campaigns.test_gates import OPEN, PROJECT, TRUNK


def run(load: NodeLoad, from_s: float, seconds: float, *, late_s: float, cps: float) -> float:
    """The loop wakes up so late, and calls are placed at this rate or at what is allowed."""
    at_s = from_s
    while at_s < from_s + seconds:
        at_s += 0.1 + late_s
        load.woke(late_s, at_s, 0.1)
        allowed = cps if load.max_cps is None else min(cps, load.max_cps)
        load.placed(allowed * (0.1 + late_s), at_s)
    return at_s


def test_a_loop_in_time_bounds_nothing_and_one_hiccup_neither() -> None:
    load = NodeLoad()
    at_s = run(load, 0, 60, late_s=0.005, cps=40)
    load.woke(0.4, at_s + 0.5, 0.1)
    assert run(load, at_s + 0.5, 10, late_s=0.005, cps=40) > 0
    assert load.max_cps is None


def test_a_loop_that_stays_late_gets_fewer_and_fewer_calls_but_never_none() -> None:
    load = NodeLoad()
    at_s = run(load, 0, 30, late_s=0.005, cps=40)
    at_s = run(load, at_s, 8, late_s=0.25, cps=40)
    assert load.max_cps is not None
    assert LEAST_CPS < load.max_cps < 30
    run(load, at_s, 120, late_s=0.25, cps=40)
    assert load.max_cps == LEAST_CPS


def test_when_it_is_in_time_again_the_bound_goes() -> None:
    load = NodeLoad()
    at_s = run(load, 0, 30, late_s=0.005, cps=40)
    at_s = run(load, at_s, 30, late_s=0.25, cps=40)
    bound = load.max_cps
    at_s = run(load, at_s, 20, late_s=0.005, cps=40)
    assert bound is not None
    assert load.max_cps is not None
    assert load.max_cps > bound
    run(load, at_s, 120, late_s=0.005, cps=40)
    assert load.max_cps is None


def test_the_bound_is_a_budget_of_its_own_and_is_spent() -> None:
    of = Budgets(Floor())
    trunk = replace(TRUNK, max_channels=100, max_cps=Decimal(50))
    project = replace(PROJECT, caller_numbers=())
    assert of.load_left(0.0) == NO_BOUND
    of.load.max_cps = 2.0
    assert of.room(project, trunk, 0.0, OPEN).smallest == (1, Limit.NODE_LOAD)
    of.spend(trunk, 1, 0.0)
    assert of.room(project, trunk, 0.0, OPEN).smallest == (0, Limit.NODE_LOAD)
    assert of.wait_s(trunk, 0.0) == 0.5
    assert of.load_left(0.5) == 1

"""Theta follows the abandonment budget."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.steering import Steering


def steering(answered: int, abandoned: int, *, agents: int = 20, cap: float = 0.03) -> Steering:
    found = Steering()
    found.see(0.0, 0.0, cap, agents, answered, abandoned)
    return found


@given(st.integers(0, 20_000), st.integers(0, 600), st.integers(1, 500), st.sampled_from([0.01, 0.03]))
def test_one_more_abandoned_call_never_raises_theta(answered: int, abandoned: int, agents: int, cap: float) -> None:
    more = steering(answered, abandoned + 1, agents=agents, cap=cap).theta
    assert more <= steering(answered, abandoned, agents=agents, cap=cap).theta


@given(st.integers(800, 20_000), st.integers(0, 600))
def test_theta_is_a_small_multiple_of_the_cap_at_most(answered: int, abandoned: int) -> None:
    assert 0 <= steering(answered, abandoned).theta <= 5 * 0.03


def test_on_the_aim_theta_is_about_the_cap() -> None:
    for agents, answered in ((5, 1_000), (20, 10_000), (200, 40_000)):
        aim = steering(answered, 0, agents=agents).aim
        on_aim = steering(answered, round(0.03 * answered - aim), agents=agents)
        assert 0.025 < on_aim.theta < 0.036


def test_a_large_budget_is_steered_with_a_light_hand_and_more_to_spare() -> None:
    small, large = steering(0, 0, agents=20), steering(0, 0, agents=160)
    assert large.pull < small.pull / 3.5
    assert 1.8 < large.aim / small.aim < 2.2


def test_beyond_the_room_nothing_is_risked() -> None:
    assert steering(10_000, 310).theta == 0
    assert steering(10_000, 299).theta > 0


def test_a_day_may_begin_with_a_credit_that_melts() -> None:
    assert steering(0, 0).room > 3
    assert steering(100, 5).theta > 0
    assert steering(1_200, 38).theta == 0


def test_a_bad_quarter_of_an_hour_makes_careful_though_the_day_is_good() -> None:
    good = steering(10_000, 200)
    before = good.theta
    for step in range(1, 6):
        good.see(60.0 * step, 3.0, 0.03, 20, 10_000 + 30 * step, 200 + 2 * step)
    assert good.theta < before / 4


def test_a_new_period_begins_with_a_clean_window() -> None:
    late = steering(10_000, 200)
    late.see(300.0, 3.0, 0.03, 20, 10_150, 210)
    late.see(301.0, 1.0, 0.03, 20, 0, 0)
    assert late.theta > 0.015


def test_it_goes_on_after_a_restart_where_it_was() -> None:
    late = steering(10_000, 200)
    for second in range(1, 200):
        late.see(float(second), 1.0, 0.03, 20, 10_000 + second, 200)
    again = Steering()
    again.restore(json.loads(json.dumps(late.to_state())))
    again.see(300.0, 0.0, 0.03, 20, 10_199, 200)
    late.see(300.0, 0.0, 0.03, 20, 10_199, 200)
    assert again.theta == late.theta


def test_calls_that_leave_a_rolling_period_leave_the_quarter_of_an_hour_as_it_was() -> None:
    day = steering(5_000, 100)
    for second in range(1, 900):
        day.see(float(second), 1.0, 0.03, 20, 5_000 + second // 3, 100 + second // 40)
    careful = day.theta
    assert careful < steering(5_300, 122).theta / 2
    day.see(900.0, 1.0, 0.03, 20, 5_000, 100)  # 300 answered and 22 abandoned of yesterday are too old
    assert day.theta < 1.2 * careful


def test_a_crew_of_which_half_has_left_is_guarded_as_before_and_one_that_was_always_small_is_not() -> None:
    def after_a_bad_quarter_of_an_hour(*, answers_before: int) -> Steering:
        day = steering(5_000, 60)
        for second in range(1, 901):
            day.see(float(second), 1.0, 0.03, 20, 5_000 + second * answers_before // 900, 60)
        for second in range(901, 1_801):
            late = second - 900
            day.see(float(second), 1.0, 0.03, 20, 5_000 + answers_before + late * 70 // 900, 60 + late * 5 // 900)
        return day

    usual = steering(5_200, 65).theta
    assert after_a_bad_quarter_of_an_hour(answers_before=140).theta < usual / 2
    assert after_a_bad_quarter_of_an_hour(answers_before=70).theta > usual / 2


def test_a_quarter_of_an_hour_says_how_many_calls_may_still_be_lost_in_it_also_when_half_of_the_crew_has_left() -> None:
    found = Steering()
    for minute in range(60):
        found.see(60.0 * minute, 60.0, 0.03, 20, 10 * minute, 0)
    assert 10.0 < found.window_room <= 11.0
    for minute in range(60, 80):
        found.see(60.0 * minute, 60.0, 0.03, 10, 600 + 5 * (minute - 60), 3 if minute > 70 else 0)
    assert 2.0 < found.window_room < 3.0


def test_a_floor_that_never_was_large_has_no_room_to_keep_in_a_quarter_of_an_hour() -> None:
    assert steering(900, 20, agents=5).window_room == math.inf

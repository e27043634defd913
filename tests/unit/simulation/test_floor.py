"""The simulated floor keeps the rules of a real one."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from random import Random
from xml.etree import ElementTree as ET

import pytest

from dialer.domain.pacing import Decision, FlightState, Policy, Snapshot
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.predictive import Predictive
from dialer.domain.states import AgentState
from dialer.simulation import Day, Floor, Steps, World, always
from dialer.simulation.compare import POLICIES, Overdial, Setting, play, tuned_dial_level
from dialer.simulation.dial_level import DialLevel
from dialer.simulation.durations import Duration, LogNormal, Measured, Mixture
from dialer.simulation.pictures import against_abandonment, bars, in_a_line, over_the_day
from dialer.simulation.what_if import a_day, forecast_of, interval, mean_curve, sentence

HOUR = World(agents=8, answer=always(0.3), hours=1)
ONE_TO_ONE = FixedRatio(calls_per_ready_agent=1.0)


class Watched:
    """A policy whose snapshots are kept."""

    def __init__(self, ratio: float) -> None:
        self._policy: Policy = Overdial(ratio)
        self.seen: list[Snapshot] = []

    def decide(self, snapshot: Snapshot) -> Decision:
        self.seen.append(snapshot)
        return self._policy.decide(snapshot)


def test_one_call_for_each_ready_agent_abandons_nobody() -> None:
    day = play("1:1", HOUR, 3)
    assert day.answered > 50
    assert day.abandoned == 0


def test_three_calls_for_each_ready_agent_abandon_somebody_and_waste_less() -> None:
    careful, bold = play("1:1", HOUR, 3), play("3:1", HOUR, 3)
    assert bold.abandoned > 0
    assert bold.utilisation > careful.utilisation + 0.1


@pytest.mark.parametrize("name", POLICIES)
def test_the_same_seed_plays_the_same_day(name: str) -> None:
    short = replace(HOUR, hours=0.3)
    assert play(name, short, 5) == play(name, short, 5)


def test_day_that_another_process_played_can_be_sent_back() -> None:
    day = Floor(HOUR, FixedRatio(calls_per_ready_agent=2.0), Random(1)).run()
    assert pickle.loads(pickle.dumps(day)) == day


def test_no_more_lines_are_used_than_the_trunk_has_channels() -> None:
    policy = Watched(9.0)
    Floor(replace(HOUR, channels=12), policy, Random(1)).run()
    lines = [len(one.in_flight) + sum(state == "talking" for state, _ in one.agents) for one in policy.seen]
    assert max(lines) == 12


def test_no_more_calls_are_placed_than_there_are_leads() -> None:
    assert Floor(replace(HOUR, leads=40), Overdial(3.0), Random(1)).run().placed == 40


def test_nobody_waits_longer_than_the_limit() -> None:
    policy = Watched(5.0)
    Floor(HOUR, policy, Random(1)).run()
    waits = [age for one in policy.seen for _, state, age in one.in_flight if state is FlightState.WAITING]
    assert waits
    assert max(waits) <= HOUR.agent_wait_s


def test_machines_are_neither_answered_nor_abandoned() -> None:
    day = Floor(replace(HOUR, machines=1.0), ONE_TO_ONE, Random(1)).run()
    assert day.machines > 50
    assert (day.answered, day.abandoned) == (0, 0)


def test_agents_who_leave_finish_their_call_and_get_no_other() -> None:
    policy = Watched(1.0)
    day = Floor(replace(HOUR, leaving=(0.5, 1_800.0, 60.0)), policy, Random(1)).run()
    assert len(policy.seen[-1].agents) == 4
    assert 4 * 3_600 + 4 * 1_800 <= day.logged_in_s <= 4 * 3_600 + 4 * 2_300


def test_an_agent_who_has_asked_to_leave_is_no_longer_counted_on() -> None:
    policy = Watched(1.0)
    Floor(replace(HOUR, leaving=(0.5, 1_800.0, 60.0)), policy, Random(1)).run()
    late = [state for one in policy.seen if 1_800 <= one.at_s <= 1_860 for state, _ in one.agents]
    assert late.count(AgentState.BREAK) > 10
    assert not any(one.leaving for one in policy.seen)


def test_one_call_for_each_ready_agent_abandons_nobody_when_all_are_known_to_leave() -> None:
    shift = replace(HOUR, answer=always(0.7), hours=0.2, leaving=(1.0, 600.0, 30.0))
    known = [play("1:1", replace(shift, leaving_known=True), seed) for seed in range(6)]
    unknown = [play("1:1", shift, seed) for seed in range(6)]
    assert sum(day.abandoned for day in known) == 0
    assert sum(day.abandoned for day in unknown) > 0


def test_answers_follow_the_hours() -> None:
    day = Floor(replace(HOUR, answer=Steps(((0, 0.0), (1_800, 0.5)))), ONE_TO_ONE, Random(1)).run()
    assert min(day.windows) >= 2


@pytest.mark.parametrize(
    "duration",
    [
        LogNormal(12.0, 0.5, beginning_s=2.0, at_most_s=25.0),
        Mixture(((0.4, LogNormal(25.0, 0.5)), (0.6, LogNormal(130.0, 0.3)))),
        Measured([3.0, 4.0, 4.0, 30.0]),
    ],
)
def test_shares_are_those_of_the_times_that_are_drawn(duration: Duration) -> None:
    random = Random(1)
    drawn = [duration.draw(random) for _ in range(5_000)]
    for seconds in (3.5, 12.0, 24.0, 120.0):
        assert duration.share_within(seconds) == pytest.approx(sum(one <= seconds for one in drawn) / 5_000, abs=0.025)


def test_the_forecast_says_what_a_day_comes_to() -> None:
    forecast = forecast_of([a_day(HOUR, ONE_TO_ONE, seed) for seed in range(4)], HOUR, leads=1_000)
    assert forecast.abandoned_percent.mean == 0
    assert 55 < forecast.utilisation_percent.mean < 70
    assert forecast.talk_min_per_hour.mean < 0.6 * forecast.utilisation_percent.mean
    assert forecast.data_lasts_h is not None
    assert forecast.data_lasts_h.mean == pytest.approx(1_000 / forecast.placed_per_hour.mean, rel=0.05)


def test_a_days_curve_adds_up_to_the_day() -> None:
    day = Floor(replace(HOUR, leaving=(0.5, 1_700.0, 60.0)), ONE_TO_ONE, Random(1)).run()
    assert sum(day.worked_s.values()) == pytest.approx(day.talk_s + day.wrap_up_s)
    assert sum(day.seated_s.values()) == pytest.approx(day.logged_in_s)
    assert len(day.curve()) == 4
    assert all(0 < busy <= 1 for busy in day.curve())


def test_a_mean_day_is_drawn_quarter_by_quarter() -> None:
    days = [a_day(HOUR, Overdial(3.0), seed) for seed in range(2)]
    curve = mean_curve(days)
    assert [at for at, _, _ in curve] == [0, 0.25, 0.5, 0.75]
    assert max(lost for *_, lost in curve) > 0
    assert in_a_line([0, 50, 100, 120], 0, 100) == "▁▅██"
    drawn = ET.fromstring(over_the_day("x < y", {"3:1": curve}, 0.03))
    assert len([element for element in drawn.iter() if element.tag.endswith("polyline")]) == 2


def test_the_forecast_is_said_in_a_sentence() -> None:
    days = [a_day(HOUR, ONE_TO_ONE, seed) for seed in range(3)]
    said = sentence(forecast_of(days, HOUR, leads=1_000), HOUR.agents)
    assert re.fullmatch(
        r"With 8 agents: talk \d\d\.\d ± \d+\.\d min/h, \d\d\.\d ± \d+\.\d % of their time busy, abandoned 0\.0 ± 0\.0 %,"
        r" data lasts \d\.\d ± \d\.\d h\.",
        said,
    )


def test_an_interval_holds_a_further_day_like_these() -> None:
    # Student's t for 5 degrees of freedom is 2.571.
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert found.mean == 3.5
    assert found.spread == pytest.approx(2.571 * 1.8708 * (7 / 6) ** 0.5, rel=0.01)


def test_pictures_are_drawn_with_their_words_made_safe() -> None:
    curve = against_abandonment("a & b", {"1:1": [(0.0, 51.0)], "<ours>": [(2.9, 72.0), (9.0, 99.0)]}, 0.03)
    for picture in (curve, bars("a < b", {"a usual day": {"predictive": 86.0, "truth known": 87.0}})):
        words = [element.text for element in ET.fromstring(picture).iter() if element.tag.endswith("text")]
        assert words[0] in {"a & b", "a < b"}


def test_a_policy_remembers_no_more_after_a_long_day() -> None:
    policy = Predictive()
    sizes = []
    for hours in (0.5, 1.0):
        day: Day = Floor(replace(HOUR, hours=hours), policy, Random(1)).run()
        assert day.placed
        sizes.append(len(str(policy.to_state())))
    assert sizes[1] < 1.3 * sizes[0]


def test_a_restart_at_noon_is_no_cold_start() -> None:
    world = World(agents=40, answer=always(0.2), hours=0.25)
    policy = Predictive()
    Floor(replace(world, hours=1), policy, Random(1)).run()
    cold = Floor(world, Predictive(), Random(5)).run()
    for trust in (1.0, 0.2):
        again = Predictive.from_state(policy.to_state(), trust)
        assert Floor(world, again, Random(5)).run().utilisation > cold.utilisation + 0.02


def test_the_dial_level_for_free_agents_only_is_a_ratio_that_adapts() -> None:
    setting = Setting(limit=1.0, highest=3.0, intensity=1.0, target=0.0, eases=True, only_free=True)
    policy = Watched(1.0)
    policy._policy = setting.policy(replace(HOUR, cap=1.0))
    day = Floor(replace(HOUR, cap=1.0), policy, Random(1)).run()
    assert max(len(one.in_flight) for one in policy.seen) <= 3 * HOUR.agents
    assert day.utilisation > play("1:1", HOUR, 1).utilisation + 0.1


def test_the_average_method_eases_the_level_down_where_the_hard_limit_drops_it() -> None:
    over = replace(HOUR, cap=0.005)
    hard, easing = (DialLevel(highest=3.0, eases=eases, only_free=True) for eases in (False, True))
    days = [Floor(over, policy, Random(2)).run() for policy in (hard, easing)]
    assert days[0].abandoned_share < days[1].abandoned_share


def test_the_dial_level_is_tuned_within_the_cap() -> None:
    world = replace(HOUR, agents=4, hours=0.4)
    setting = tuned_dial_level(world, [3])
    tuned = Floor(world, setting.policy(world), Random(3)).run()
    assert tuned.abandoned <= world.cap * tuned.answered
    assert tuned.utilisation > Floor(world, DialLevel(), Random(3)).run().utilisation

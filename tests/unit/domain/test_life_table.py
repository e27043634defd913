"""What the predictive policy learns with: life tables, the answer level, the sums over a floor."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dialer.domain.pacing.level import Level
from dialer.domain.pacing.lifetable import LifeTable, survival
from dialer.domain.pacing.tail import at_least, at_least_exactly, waves

NOBODY = np.empty(0)


def a_table(bins: int = 40, half_life: float = 1e9) -> LifeTable:
    return LifeTable(width_s=1.0, half_life=half_life, prior=[[0.02] * bins, [0.02] * bins], prior_weight=5)


def test_chances_of_each_cause_are_found() -> None:
    table, random = a_table(), Random(1)
    for _ in range(20_000):
        age = random.expovariate(0.1)
        table.ended(int(random.random() < 0.25), age)
    answered, failed = table.chances(NOBODY)
    assert answered[:20].mean() == pytest.approx(0.75 * (1 - np.exp(-0.1)), rel=0.05)
    assert failed[:20].mean() == pytest.approx(0.25 * (1 - np.exp(-0.1)), rel=0.05)


def test_what_still_runs_counts_as_not_ended() -> None:
    table = a_table()
    for _ in range(50):
        table.ended(0, 2.5)  # the quick ones are over; as many still ring
    blind, seeing = table.chances(NOBODY)[0], table.chances(np.full(50, 20.0))[0]
    assert blind[2] > 0.85
    assert seeing[2] == pytest.approx(0.5, abs=0.08)


def test_calls_that_we_gave_up_say_nothing_about_later() -> None:
    table = a_table()
    for n in range(200):
        table.ended(0 if n % 2 else None, 10.2 if n % 2 else 5.2)
    assert table.chances(NOBODY)[0][10] > 0.9


def test_old_days_are_forgotten() -> None:
    table = a_table(half_life=50)
    for age in (3.5, 12.5):
        for _ in range(1_000):
            table.ended(0, age)
    assert table.chances(NOBODY)[0][3] < 0.01


def test_survival_falls_from_one() -> None:
    assert survival(np.array([0.5, 0.5, 1.0])).tolist() == [1.0, 0.5, 0.25, 0.0]


def test_the_level_follows_a_jump_at_once_and_not_a_streak() -> None:
    level, random = Level(), Random(3)

    def pass_answers(rate: float, expected: int) -> float:
        for _ in range(expected * 10):
            level.expect(0.1)
            if random.random() < 0.1 * rate:
                level.answered()
        return level.value

    assert pass_answers(1.0, 400) == pytest.approx(1.0, abs=0.2)
    assert pass_answers(2.5, 30) > 1.7


chances = st.lists(st.floats(0, 1), max_size=14)


@given(chances, chances, st.integers(-8, 8))
def test_small_floors_are_summed_exactly(up: list[float], down: list[float], threshold: int) -> None:
    assume(sum(p * (1 - p) for p in up + down) < 2.5)
    sums = {0: 1.0}
    for p, step in [(p, 1) for p in up] + [(p, -1) for p in down]:
        after: dict[int, float] = {}
        for value, chance in sums.items():
            after[value] = after.get(value, 0.0) + chance * (1 - p)
            after[value + step] = after.get(value + step, 0.0) + chance * p
        sums = after
    expected = sum(chance for value, chance in sums.items() if value >= threshold)
    mean = np.array([sum(up) - sum(down)])
    wave = waves(np.array(up)).prod(axis=0) * waves(np.array(down)).prod(axis=0).conj()
    assert at_least_exactly(np.array([threshold]), mean, wave[None, :])[0] == pytest.approx(expected, abs=1e-4)


def test_large_floors_are_close_to_their_sum() -> None:
    p, random = 0.12, np.random.default_rng(1)
    drawn = random.binomial(150, p, 400_000) - random.binomial(45, 0.2, 400_000)
    variance = 150 * p * (1 - p) + 45 * 0.2 * 0.8
    third = 150 * p * (1 - p) * (1 - 2 * p) - 45 * 0.2 * 0.8 * 0.6
    for threshold in (12, 16, 20):
        found = at_least(np.array([threshold]), *(np.array([value]) for value in (150 * p - 9, variance, third)))[0]
        assert found == pytest.approx((drawn >= threshold).mean(), rel=0.05)

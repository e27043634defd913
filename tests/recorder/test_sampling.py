"""Samples: drawn again by anybody with the seed, with the chance of each recording exact."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from recorder.sampling import allocate, draw

IDS = [UUID(int=number) for number in range(400)]
SIZES = st.dictionaries(st.text(max_size=3), st.integers(1, 60), min_size=1, max_size=8)


def test_the_same_seed_draws_the_same_sample_in_whatever_order_it_is_read() -> None:
    population = [(one, str(one.int % 3)) for one in IDS]
    shuffled = random.Random(1).sample(population, len(population))
    assert draw(population, size=50, seed="a") == draw(shuffled, size=50, seed="a")
    assert draw(population, size=50, seed="a") != draw(population, size=50, seed="b")


def test_a_larger_sample_holds_the_smaller_one() -> None:
    population = [(one, "") for one in IDS]
    small, large = (draw(population, size=size, seed="a") for size in (20, 80))
    assert [one.recording_id for one in large[:20]] == [one.recording_id for one in small]


@given(SIZES, st.integers(1, 200))
def test_shares_add_up_are_in_proportion_and_leave_no_stratum_out(sizes: dict[str, int], size: int) -> None:
    share, total = allocate(sizes, size), sum(sizes.values())
    assert sum(share.values()) == min(size, total)
    assert all(0 <= share[name] <= sizes[name] for name in sizes)
    if size >= len(sizes):
        assert min(share.values()) >= 1
        assert all(share[name] <= Fraction(size * sizes[name], total) + len(sizes) for name in sizes)


@given(SIZES, st.integers(1, 200), st.text())
def test_every_chance_is_what_was_drawn_of_the_stratum(sizes: dict[str, int], size: int, seed: str) -> None:
    ids = iter(UUID(int=number) for number in range(1000))
    drawn = draw([(next(ids), name) for name, count in sizes.items() for _ in range(count)], size=size, seed=seed)
    of = Counter(one.stratum for one in drawn)
    assert len({one.recording_id for one in drawn}) == len(drawn)
    for one in drawn:
        assert one.probability == Fraction(of[one.stratum], sizes[one.stratum])
    assert sum(1 / one.probability for one in drawn) == sum(sizes[name] for name in of)  # Horvitz and Thompson, 1952


def test_over_many_seeds_every_recording_comes_as_often_as_its_chance_says() -> None:
    population = [(one, "a" if one.int < 30 else "b") for one in IDS[:120]]
    seen: Counter[UUID] = Counter()
    for seed in range(1000):
        seen.update(one.recording_id for one in draw(population, size=24, seed=str(seed)))
    assert all(130 <= seen[one] <= 275 for one, _ in population)  # 200 expected, five deviations either way

"""Robots: their manners are seeded, and what they choose fits what they heard and what the project knows."""

from __future__ import annotations

from random import Random
from statistics import mean
from uuid import UUID

import pytest

from lab.robot import DISPOSITIONS, HEARD, PEOPLE, Manners, Robot


def a_robot(seed: int) -> Robot:
    return Robot(
        "http://127.0.0.1:1",
        login="a",
        password="b",
        agent_id=UUID(int=1),
        device_id=UUID(int=2),
        manners=Manners(),
        random=Random(seed),
        hears=lambda _lead: None,
    )


def test_times_are_seeded_and_have_the_wanted_mean() -> None:
    first, same, other = (a_robot(seed) for seed in (1, 1, 2))
    times = [first._about(4.0) for _ in range(5000)]
    assert times == [same._about(4.0) for _ in range(5000)]
    assert times[0] != other._about(4.0)
    assert mean(times) == pytest.approx(4.0, rel=0.05)


def test_every_result_a_robot_may_choose_is_one_the_project_knows() -> None:
    known = {disposition["code"] for disposition in DISPOSITIONS}
    chosen = set(PEOPLE) | {code for weights in HEARD.values() for code in weights}
    assert chosen == known

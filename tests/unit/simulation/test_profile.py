"""What a project has learned about its hours is worth something when the next of them begins."""

from __future__ import annotations

import json
from random import Random
from statistics import fmean
from typing import Any

from dialer.domain.pacing.predictive import Predictive
from dialer.domain.pacing.profile import Profile
from dialer.simulation import Floor, Steps, World

CHANGE_H = 1
WORLD = World(agents=8, answer=Steps(((0.0, 0.40), (3600.0, 0.12))), hours=1.25)


def after_the_change(state: dict[str, Any]) -> float:
    """How busy agents are in the quarter of an hour in which a third as many people begin to answer: the mean of some days."""
    quarters = []
    for seed in range(2):
        policy = Predictive.from_state(json.loads(json.dumps(state)), trust=0.3)
        quarters.append(Floor(WORLD, policy, Random(seed)).run().curve()[4 * CHANGE_H])
    return fmean(quarters)


def test_an_hour_that_is_known_to_answer_badly_begins_better() -> None:
    policy = Predictive()
    for day in range(2):
        Floor(WORLD, policy, Random(100 + day)).run()
        policy = Predictive.from_state(policy.to_state(), trust=0.3)
    known = policy.to_state()
    unknown = json.loads(json.dumps(known))
    unknown["knowledge"]["profile"] = Profile().to_state()
    assert after_the_change(known) > after_the_change(unknown) + 0.03

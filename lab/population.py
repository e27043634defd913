"""A city of people to call: numbers whose digits say how each behaves (lab/carrier/behaviour.py), drawn with weights from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from lab.carrier.behaviour import PREFIXES, RING_S, SERIALS, TALK_S, Behaviour, number_for

# What a Chinese consumer list gives in the daytime, roughly: four in ten answer.
CITY: Mapping[Behaviour, float] = {
    Behaviour.HUMAN: 0.33,
    Behaviour.PRESSES_KEYS: 0.01,
    Behaviour.NO_ANSWER: 0.20,
    Behaviour.POWERED_OFF: 0.09,
    Behaviour.VACANT: 0.06,
    Behaviour.BUSY: 0.08,
    Behaviour.REJECTED: 0.07,
    Behaviour.VOICEMAIL: 0.05,
    Behaviour.ANSWER_HANGUP: 0.03,
    Behaviour.CONGESTION: 0.02,
    Behaviour.EARLY_MEDIA: 0.03,
    Behaviour.LATE_ANSWER: 0.01,
    Behaviour.ONE_WAY_AUDIO: 0.02,
}
_RINGS = {1: 1, 2: 2, 3: 4, 4: 5, 5: 6, 6: 5, 7: 3, 8: 2, 9: 1}  # ring code → weight: most people need 4 to 8 s
_TALKS = {2: 1, 3: 3, 4: 5, 5: 6, 6: 5, 7: 3, 8: 2, 9: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a telephone. Seconds before the carrier's time scale; the digits of `number` say the same."""

    number: str
    behaviour: Behaviour
    ring_s: int
    talk_s: int


def population(seed: int, count: int, weights: Mapping[Behaviour, float] = CITY) -> list[Person]:
    """`count` people with different numbers; the same seed gives the same people.

    `weights` need not add up to 1. With at least as many people as behaviours in `weights`, each of them occurs.
    Raises ValueError when there are no such numbers left, or nothing has a weight.
    """
    wanted = {behaviour: weight for behaviour, weight in weights.items() if weight > 0}
    if not wanted:
        raise ValueError("a population needs a behaviour with a weight above zero")
    chance = random.Random(seed)
    behaviours = list(wanted) if count >= len(wanted) else []
    behaviours += chance.choices(list(wanted), weights=list(wanted.values()), k=count - len(behaviours))
    chance.shuffle(behaviours)
    taken: set[str] = set()
    return [_person(behaviour, chance, taken) for behaviour in behaviours]


def _person(behaviour: Behaviour, chance: random.Random, taken: set[str]) -> Person:
    for _ in range(1000):
        ring_code = chance.choices(list(_RINGS), weights=list(_RINGS.values()))[0]
        talk_code = chance.choices(list(_TALKS), weights=list(_TALKS.values()))[0]
        number = number_for(
            behaviour,
            ring_code=ring_code,
            talk_code=talk_code,
            serial=chance.randrange(SERIALS),
            prefix=chance.choice(PREFIXES),
        )
        if number not in taken:
            taken.add(number)
            return Person(number=number, behaviour=behaviour, ring_s=RING_S[ring_code], talk_s=TALK_S[talk_code])
    raise ValueError(f"no number left for {behaviour}: ask for a smaller population")

"""The lab's city: the same for a seed, whole, and by its weights."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.carrier.behaviour import Behaviour, decode
from lab.population import CITY, population


def test_same_seed_gives_the_same_city_and_another_seed_another() -> None:
    assert population(1, 300) == population(1, 300)
    assert population(1, 300) != population(2, 300)


def test_every_behaviour_of_the_table_lives_in_the_city() -> None:
    assert {person.behaviour for person in population(7, 50)} == set(Behaviour) - {Behaviour.UNKNOWN}


def test_numbers_are_their_own_and_say_what_the_person_does() -> None:
    people = population(3, 2000)
    assert len({person.number for person in people}) == len(people)
    assert all(decode(person.number).behaviour is person.behaviour for person in people)
    assert all(
        (decode(person.number).ring_s, decode(person.number).talk_s) == (person.ring_s, person.talk_s)
        for person in people
    )


def test_shares_follow_the_weights() -> None:
    assert sum(CITY.values()) == pytest.approx(1)
    counts = Counter(person.behaviour for person in population(5, 9000))
    assert all(counts[behaviour] / 9000 == pytest.approx(weight, abs=0.02) for behaviour, weight in CITY.items())

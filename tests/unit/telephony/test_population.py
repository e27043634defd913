"""Numbers of the lab: they say what they do, look real, and are drawn the same from the same seed."""

from __future__ import annotations

from collections import Counter

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.asterisk_container import CHECKOUT
from lab.carrier import Behaviour, decode, number_for
from lab.carrier.behaviour import CODES, PREFIXES, RING_S, TALK_S
from lab.population import CITY, population


@given(
    st.sampled_from(sorted(CODES)),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9999),
    st.sampled_from(PREFIXES),
)
def test_number_says_how_it_was_made(code: Behaviour, ring: int, talk: int, serial: int, prefix: str) -> None:
    told = decode(number_for(code, ring_code=ring, talk_code=talk, serial=serial, prefix=prefix))
    assert (told.behaviour, told.ring_s, told.talk_s) == (code, RING_S[ring], TALK_S[talk])


@given(st.text(max_size=20))
def test_any_other_text_is_unknown_or_a_number(text: str) -> None:
    decode(text)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_numbers_are_valid_chinese_mobile_numbers(prefix: str) -> None:
    for behaviour in CODES:
        parsed = phonenumbers.parse(number_for(behaviour, prefix=prefix))
        assert phonenumbers.is_valid_number(parsed)
        assert phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.MOBILE


def test_same_seed_gives_the_same_city_and_another_seed_another() -> None:
    assert population(7, 300) == population(7, 300)
    assert population(7, 300) != population(8, 300)


def test_city_has_every_behaviour_and_no_number_twice() -> None:
    people = population(1, 500)
    assert {person.behaviour for person in people} == set(CITY)
    assert len({person.number for person in people}) == 500


def test_weights_are_kept() -> None:
    counted = Counter(person.behaviour for person in population(3, 20_000))
    for behaviour, weight in CITY.items():
        assert abs(counted[behaviour] / 20_000 - weight) < 0.015


def test_people_are_what_their_numbers_say() -> None:
    for person in population(5, 200):
        told = decode(person.number)
        assert (told.behaviour, told.ring_s, told.talk_s) == (person.behaviour, person.ring_s, person.talk_s)


def test_nobody_wanted_is_an_error() -> None:
    with pytest.raises(ValueError, match="weight"):
        population(1, 10, {Behaviour.HUMAN: 0})


def test_page_of_the_lab_and_the_carriers_dialplan_know_the_same_behaviours() -> None:
    page = (CHECKOUT / "docs" / "lab.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    documented = {cells[2].strip().strip("`"): cells[1].strip().strip("`") for cells in rows if len(cells) > 4}
    assert documented == {code: behaviour.value for behaviour, code in CODES.items()}
    dialplan = (CHECKOUT / "lab" / "carrier" / "conf" / "extensions.conf").read_text(encoding="utf-8")
    for behaviour, code in CODES.items():
        assert f"exten => {code},1,Set(CDR(behaviour)={behaviour.value})" in dialplan


def test_page_of_the_lab_has_the_ring_and_talk_times() -> None:
    page = (CHECKOUT / "docs" / "lab.md").read_text(encoding="utf-8")
    assert "| ring | " + " | ".join(str(value) for value in RING_S) + " |" in page
    assert "| talk | " + " | ".join(str(value) for value in TALK_S) + " |" in page

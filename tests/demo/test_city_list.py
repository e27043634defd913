"""The lab's list as a client sends it, where its people live, and whom the demo must not call."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from campaigns.errors import BadInput
from campaigns.numbers import read_cell
from campaigns.rules.loading import read_pack
from lab.carrier.behaviour import PREFIXES, Behaviour
from lab.city_list import city_list
from lab.demo.compare import CarrierFact
from lab.demo.house import LEFT_OUT, RULES, House
from lab.places import HOMES, home_of, prefix_table
from lab.population import population

PEOPLE = population(4, 200)


def test_list_is_chinese_in_gb18030_and_every_way_of_writing_a_number_means_the_person() -> None:
    made = city_list(PEOPLE, Random(1))
    with pytest.raises(UnicodeDecodeError):
        made.content.decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(made.content.decode("gb18030"))))
    assert len(rows) == len(PEOPLE) + made.rejected
    assert len({len(row["手机号码"]) for row in rows}) > 3
    understood = Counter[str]()
    for row in rows:
        try:
            understood[read_cell(row["手机号码"])[0].e164] += 1
        except BadInput:
            understood["none"] += 1
    assert understood.keys() >= {person.number for person in PEOPLE}
    assert understood["none"] + sum(count - 1 for number, count in understood.items() if number != "none") >= 3


def test_same_seed_gives_the_same_list() -> None:
    assert city_list(PEOPLE, Random(1)) == city_list(PEOPLE, Random(1))
    assert city_list(PEOPLE, Random(1)) != city_list(PEOPLE, Random(2))


def test_every_number_of_the_lab_has_a_home_in_the_prefix_table() -> None:
    assert set(HOMES) == set(PREFIXES)
    table = {row["号段"]: (row["省份"], row["城市"]) for row in csv.DictReader(io.StringIO(prefix_table().decode()))}
    assert all(table[person.number[3:10]] == home_of(person.number) for person in PEOPLE)


def test_rules_of_the_house_prove_themselves_and_leave_one_region_out() -> None:
    pack = read_pack(RULES.read_text(encoding="utf-8"))
    assert LEFT_OUT in {region for line in pack.rule for region in getattr(line, "regions", ())}
    assert LEFT_OUT in {province for province, _ in HOMES.values()}


def test_call_to_a_forbidden_number_and_a_gate_that_held_nobody_are_told() -> None:
    house = House(forbidden={"blind_region": {"+8619910123456"}, "do_not_call": {"+8613310123456"}})
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    calls = [
        CarrierFact(uniqueid=number[-4:], number=number, caller="", started=now, answered=None, ended=now, behaviour=Behaviour.HUMAN)
        for number in ("+8619910123456", "+8613510123456")
    ]  # fmt: skip
    assert [one.detail for one in house.called_all_the_same(calls)] == ["3456: blind_region"]
    assert [one.detail for one in house.not_held_back({"blind_region": 1, "done": 5})] == ["do_not_call: 0 of 1"]
    assert house.not_held_back({"blind_region": 1, "do_not_call": 2}) == []

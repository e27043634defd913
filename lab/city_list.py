"""The lab's list of customers as a client sends it: GB18030, Chinese headings, numbers written as people write them, and rows that cannot be taken."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from lab.places import home_of
from lab.population import Person

FAMILY_NAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_TITLES = ("先生", "女士")
_HEADER = ("客户姓名", "手机号码", "城市", "产品到期日")
# What no number can be made of: cut by a spreadsheet, an emergency number, a word, a digit short.
_BAD_NUMBERS = ("1.38E+10", "110", "见备注", "1381234567")
_FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CityList:
    """A file, and how many of its rows must come back in the reject file."""

    content: bytes
    rejected: int


def city_list(people: Sequence[Person], random: Random) -> CityList:
    """One row for each person, one more for the first of them (a duplicate), and one for each number that is none."""
    rows = [_row(person, random) for person in people]
    planted = [(f"{random.choice(FAMILY_NAMES)}先生", bad, "上海", "") for bad in _BAD_NUMBERS]
    if people:
        planted.append(_row(people[0], random))
    for row in planted:
        rows.insert(random.randrange(1, len(rows) + 1) if rows else 0, row)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(_HEADER)
    writer.writerows(rows)
    return CityList(content=stream.getvalue().encode("gb18030"), rejected=len(planted))


def _row(person: Person, random: Random) -> tuple[str, str, str, str]:
    name = f"{random.choice(FAMILY_NAMES)}{random.choice(_TITLES)}"
    due = f"2027-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
    return name, _written(person.number.removeprefix("+86"), random), home_of(person.number)[1], due


def _written(digits: str, random: Random) -> str:
    """As a person may write it."""
    return random.choice(
        (
            digits,
            digits,
            f"{digits[:3]} {digits[3:7]} {digits[7:]}",
            f"+86 {digits[:3]}-{digits[3:7]}-{digits[7:]}",
            f"0086{digits}",
            f"{digits}.0",
            digits.translate(_FULL_WIDTH),
        )
    )

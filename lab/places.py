"""Where the lab's people live: each mobile prefix belongs to one city, as a prefix table (号段表) that Waihu can load."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from itertools import product

from lab.carrier.behaviour import CODES, PREFIXES

HOMES: Mapping[str, tuple[str, str]] = {
    "133": ("北京", "北京"), "135": ("上海", "上海"), "136": ("广东", "广州"), "137": ("浙江", "杭州"), "138": ("江苏", "南京"),
    "139": ("四川", "成都"), "150": ("湖北", "武汉"), "151": ("山东", "济南"), "152": ("河南", "郑州"), "157": ("福建", "福州"),
    "158": ("湖南", "长沙"), "159": ("安徽", "合肥"), "180": ("陕西", "西安"), "182": ("重庆", "重庆"), "185": ("天津", "天津"),
    "186": ("辽宁", "沈阳"), "187": ("云南", "昆明"), "188": ("广西", "南宁"), "189": ("海南", "海口"), "199": ("贵州", "贵阳"),
}  # fmt: skip
"""Prefix → province, city. In life a prefix is spread over the country; in the lab one can see at a glance who lives where."""

_CARRIERS = ("移动", "联通", "电信")


def home_of(number: str) -> tuple[str, str]:
    """Province and city of one of the lab's numbers (+86...)."""
    return HOMES[number[3:6]]


def prefix_table() -> bytes:
    """The prefix table of the whole lab: a line for each seven digits, CSV in UTF-8."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["号段", "省份", "城市", "运营商"])
    for place, prefix in enumerate(PREFIXES):
        province, city = HOMES[prefix]
        carrier = _CARRIERS[place % len(_CARRIERS)]
        for code, ring, talk in product(CODES.values(), range(10), range(10)):
            writer.writerow([f"{prefix}{code}{ring}{talk}", province, city, carrier])
    return stream.getvalue().encode()

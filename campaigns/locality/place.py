"""A place of the numbering plan, and which numbers belong to one. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PROVINCES: Final = (
    "北京", "天津", "上海", "重庆", "河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西", "山东", "河南", "湖北", "湖南", "广东",
    "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海", "内蒙古", "广西", "西藏", "宁夏", "新疆", "香港", "澳门", "台湾",
)  # fmt: skip
"""As lists and tables call them: without 省, 市, 自治区."""

_PROVINCE_END: Final = re.compile(r"(省|市|(壮族|回族|维吾尔)?自治区|特别行政区)$")
_CITY_END: Final = re.compile(r"(市|地区|盟)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a number is at home. `country`: ISO 3166; `province` and `city` as people of the country call them; `zone`: IANA, empty when it is not one.

    Unknown parts are empty.
    """

    country: str
    province: str = ""
    city: str = ""
    carrier: str = ""
    zone: str = ""


def block_of(e164: str) -> str:
    """The block of ten thousand numbers a number lies in: all but its last four digits. For a Chinese mobile number, +86 and its seven-digit prefix (号段)."""
    return e164[:-4]


def province_name(text: str) -> str:
    """`江苏省` → `江苏`, `新疆维吾尔自治区` → `新疆`."""
    return _PROVINCE_END.sub("", text.strip())


def city_name(text: str) -> str:
    """`连云港市` → `连云港`."""
    return _CITY_END.sub("", text.strip())


def split_place(text: str) -> tuple[str, str]:
    """Province and city of a Chinese description: `江苏省连云港市` → `江苏`, `连云港`; a city that is a province is both."""
    province = next((name for name in PROVINCES if text.startswith(name)), "")
    rest = city_name(re.sub(r"^(省|市|(壮族|回族|维吾尔)?自治区)", "", text[len(province) :]))
    return province, rest or (province if province in PROVINCES[:4] else "")

"""Promises of rule packs: the shipped ones are true and cited, and a wrong one is refused with the line and what is wrong."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from campaigns.errors import BadInput
from campaigns.rules.calendar import Day
from campaigns.rules.loading import MAX_BYTES, read_pack, shipped
from campaigns.rules.ruleset import abandonment_lines, combine, limits

HEAD = """
pack = "mine"
version = "1"
jurisdiction = "CN"
title_en = "Mine"
title_zh = "自用"
remark_en = "Ask a lawyer."
remark_zh = "请咨询律师。"
"""
RULE = """
[[rule]]
id = "hours"
kind = "window"
days = ["mon"]
open = ["09:00-20:00"]
unknown_zone = "project"
says_en = "Nine to eight."
says_zh = "九点到八点。"
source = "house rule"
standing = "practice"
test = [
  { allowed = true, at = 2026-06-01T09:00:00+08:00, zone = "Asia/Shanghai" },
  { allowed = false, at = 2026-06-01T20:00:00+08:00, zone = "Asia/Shanghai" },
]
"""


def test_the_six_packs_ship() -> None:
    assert {pack for pack, _ in shipped()} == {
        "cn-general",
        "cn-insurance",
        "cn-collection",
        "us-telemarketing",
        "uk-ofcom",
        "eu-general",
    }


@pytest.mark.parametrize("key", list(shipped()), ids="@".join)
def test_every_line_of_a_shipped_pack_has_its_source_and_does_what_its_tests_say(key: tuple[str, str]) -> None:
    pack = read_pack(shipped()[key])  # proves every line by its own vectors
    assert (pack.pack, pack.version) == key
    assert "lawyer" in pack.remark_en
    assert "律师" in pack.remark_zh
    for line in pack.rule:
        assert len(line.source) >= 8
        assert line.says_en.endswith(".")


def test_the_american_pack_gives_the_values_of_its_abandonment_contract() -> None:
    pack = read_pack(shipped()["us-telemarketing", "2026.1"])
    rules, day = combine([pack]), date(2026, 6, 1)
    [found] = abandonment_lines(rules, day, "predictive")
    assert (str(found.line.limit), found.line.period, found.line.within_s) == ("0.03", "30_days", Decimal(2))
    assert limits(rules, day, "predictive").ring_least_s == 15
    assert "{number}" in found.line.message_en


def test_the_chinese_calendar_knows_holidays_and_made_up_working_days() -> None:
    calendar = read_pack(shipped()["cn-general", "2026.1"]).days()
    assert calendar.kinds_of(date(2026, 2, 14)) == frozenset({Day.WORKDAY})  # a Saturday, made up for
    assert calendar.kinds_of(date(2026, 2, 16)) == frozenset({Day.RESTDAY, Day.HOLIDAY})  # a Monday
    assert calendar.kinds_of(date(2026, 2, 21)) == frozenset({Day.RESTDAY, Day.HOLIDAY})
    assert calendar.kinds_of(date(2026, 3, 7)) == frozenset({Day.RESTDAY})
    assert calendar.kinds_of(date(2026, 3, 9)) == frozenset({Day.WORKDAY})
    assert calendar.kinds_of(date(2031, 3, 10)) is None


def test_a_pack_of_ones_own_is_read() -> None:
    assert read_pack(HEAD + RULE).rule[0].id == "hours"


@pytest.mark.parametrize(
    ("document", "line", "rule", "said"),
    [
        ("pack = ", None, None, "TOML"),
        (HEAD.replace("mine", "Not A Word") + RULE, 1, None, "pack"),
        (HEAD, 1, None, "rule"),
        (HEAD + "colour = 'red'" + RULE, 1, None, "colour"),
        (HEAD + RULE.replace("09:00-20:00", "20:00-09:00"), 10, "hours", "span of the day"),
        (HEAD + RULE.replace("09:00-20:00", "9-20"), 10, "hours", "span of the day"),
        (HEAD + RULE.replace('"project"', '["Mars/Olympus"]'), 10, "hours", "no time zone"),
        (HEAD + RULE.replace('"window"', '"curfew"'), 10, "hours", "kind"),
        (HEAD + RULE.replace('source = "house rule"', 'source = ""'), 10, "hours", "source"),
        (HEAD + RULE.replace('days = ["mon"]', 'days = ["workday"]'), 1, None, "calendar"),
        (HEAD + RULE + RULE, 1, None, "same id"),
        (HEAD + RULE.replace("allowed = false", "allowed = true"), 10, "hours", "at least one test"),
        (HEAD + RULE + RULE.replace('"hours"', '"h2"').replace('["mon"]', '["noday"]'), 25, "h2", "days"),
        (HEAD + RULE + "#" * MAX_BYTES, None, None, "KiB"),
    ],
)  # fmt: skip
def test_a_malformed_pack_is_refused_with_its_line(document: str, line: Any, rule: Any, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_pack(document)
    assert refused.value.error_id == "rule_pack_malformed"
    assert said in str(refused.value)
    assert refused.value.detail["line"] == line
    assert refused.value.detail.get("rule") == rule


def test_a_line_that_does_not_do_what_its_test_says_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        read_pack(HEAD + RULE.replace("T20:00:00", "T19:59:59"))
    assert refused.value.error_id == "rule_pack_untrue"
    assert (refused.value.detail["line"], refused.value.detail["rule"]) == (10, "hours")
    assert "test 2" in str(refused.value)

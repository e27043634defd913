"""How long a call must ring before it may be given up: the project's setting, and never less than its rules ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.rules.loading import read_pack
from campaigns.rules.ruleset import NO_RULES, RuleSet, combine
from dialer.engine.giving_up import give_up_after_s
from tests.campaigns.test_gates import PROJECT

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


def rules(least_s: int, **head: str) -> RuleSet:
    lines = "".join(f"{name} = {value}\n" for name, value in head.items())
    return combine([
        read_pack(f"""
pack = "ours"
version = "1"
jurisdiction = "XX"
title_en = "Ours"
title_zh = "我们的"
remark_en = "A test."
remark_zh = "测试。"
{lines}
[[rule]]
id = "ring"
kind = "ring_time"
least_s = {least_s}
says_en = "Let it ring."
says_zh = "振铃。"
source = "none"
standing = "law"

[[rule.test]]
allowed = true
at = 2026-06-01T12:00:00-04:00
ring_s = {least_s}

[[rule.test]]
allowed = false
at = 2026-06-01T12:00:00-04:00
ring_s = {least_s - 1}
""")
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "of_rules", "after_s"),
    [
        (0, NO_RULES, None),
        (0, rules(20), None),
        (15, NO_RULES, 15),
        (15, rules(20), 20),
        (30, rules(20), 30),
        (15, rules(20, effective_until="2026-06-01"), None),
        (15, RuleSet(unreadable=("ours@1",)), None),
    ],
)
def test_longest_of_setting_and_rules_counts_and_rules_that_cannot_be_read_mean_never(
    setting: int, of_rules: RuleSet, after_s: float | None
) -> None:
    project = replace(PROJECT, cancel_after_s=setting, rules=of_rules)
    assert give_up_after_s(project, NOON) == after_s


def test_unknown_zone_means_never() -> None:
    changes: dict[str, Any] = {"cancel_after_s": 15, "zone": "Mars/Olympus"}
    assert give_up_after_s(replace(PROJECT, **changes), NOON) is None

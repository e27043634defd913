"""Promises of a pack's line about abandoned calls: the project has a message of its own, and why says what is used of the share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from campaigns.explaining.abandonment import Share
from campaigns.explaining.number import Question, explain_number
from campaigns.explaining.results import Asked, Explanation
from campaigns.gates import Gate, decide
from campaigns.projects import Project, load_project, update_project
from campaigns.sql import Pool
from campaigns.states import DialMode
from tests.builders import NOON, a_lead, a_project
from tests.campaigns.test_claim_rules import a_rule, under

pytestmark = pytest.mark.services


def a_share(limit: float = 0.03, period: str = "24_hours", within_s: float = 2, **given: Any) -> str:
    """A line of a pack about abandoned calls."""
    texts = {"message_en": "This was Acme.", "message_zh": "甲方来电。"}
    return a_rule("abandonment", limit=limit, period=period, within_s=within_s, **texts, **given)


async def explained(pool: Pool, project: Project, **asked: Any) -> Explanation:
    lead_id = await a_lead(pool, project.id)
    return await explain_number(pool, Question(project=project, lead_id=lead_id, now=NOON, **asked))


async def test_a_project_that_names_no_message_of_its_own_is_shut_and_told_what_callees_must_hear(pool: Pool) -> None:
    project = await under(pool, await a_project(pool, mode="predictive"), a_share())
    shut = decide(project, NOON)
    assert (shut.allowed, shut.gate) == (False, Gate.ABANDONMENT)
    assert shut.rule is not None
    assert "This was Acme." in shut.reason
    assert shut.rule.name in shut.reason
    told = await explained(pool, project, shares={})
    assert told.first is not None
    assert (told.first.gate, told.first.rule) == (Asked.ABANDONMENT, shut.rule.name)
    assert "This was Acme." in told.first.reason
    assert decide(replace(project, mode=DialMode.PREVIEW), NOON).allowed  # an agent is there before it rings
    async with pool.acquire() as conn:
        await update_project(conn, project.id, safe_harbour="acme-sorry")
    assert decide(await load_project(pool, project.id), NOON).allowed


@pytest.mark.parametrize(("share", "passed", "says"), [
    (Share(answered=100, abandoned=4, stopped=True), False, "Nothing is dialled"),
    (Share(answered=100, abandoned=4, stopped=False), True, "The pacer keeps to it"),
    (None, None, "not counted again"),
])  # fmt: skip
async def test_why_says_what_is_used_of_the_share_with_its_rule(
    pool: Pool, share: Share | None, passed: bool | None, says: str
) -> None:
    project = await under(pool, await a_project(pool, mode="predictive", safe_harbour="acme"), a_share())
    told = await explained(pool, project, shares=None if share is None else {"24_hours": share})
    [line] = [gate for gate in told.gates if gate.gate is Asked.ABANDONMENT]
    assert (line.passed, line.rule) == (passed, project.rules.rules[0].name)
    assert says in line.reason
    assert share is None or "4 of 100 answered calls were abandoned, 3 % at most in 24 hours" in line.reason

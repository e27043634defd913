"""A comparison with the lead means in a script what it means in a filter of leads."""

from __future__ import annotations

from random import Random
from typing import Any

from campaigns.leads import get_lead
from campaigns.questionnaires import flow
from campaigns.questionnaires.comparing import holds, parse
from campaigns.questionnaires.questions import Question
from campaigns.scripts.responses import known_of
from campaigns.sql import Pool
from campaigns.supply.filters import compile_filter
from tests.builders import a_lead, a_project

CELLS: list[Any] = [None, "", " ", "5", " 5 ", "5.50", "-3", "1e3", "五", "abc", 7, 0.5, True, False, ["5"], "1234567890123456"]  # fmt: skip
TEXTS = ["", "5", "a", "abc", "五", " ", "true"]
NO_QUESTIONS: dict[str, Question] = {}


def a_comparison(random: Random) -> dict[str, Any]:
    """One with a field or a column."""
    subject = random.choice([{"custom": "c"}, {"custom": "c"}, {"field": "name"}, {"field": "reference"}, {"field": "city"}, {"field": "attempts"}])  # fmt: skip
    numeric = subject == {"field": "attempts"} or ("custom" in subject and random.random() < 0.5)
    if numeric:
        return {**subject, "op": random.choice(["=", "!=", "<", "<=", ">", ">="]), "value": random.choice([0, 5, 5.5, -3, 7])}  # fmt: skip
    op = random.choice(["=", "!=", "in", "starts", "contains", "empty"])
    value: dict[str, Any] = {} if op == "empty" else {"value": [random.choice(TEXTS)] if op == "in" else random.choice(TEXTS)}  # fmt: skip
    return {**subject, "op": op, **value}


async def test_scripts_and_filters_agree_on_every_lead(pool: Pool) -> None:
    random, project = Random(4), await a_project(pool)
    leads = [
        await a_lead(
            pool, project.id, name=random.choice(TEXTS), fields={} if at == 0 else {"c": cell}, reference=random.choice([None, "abc"]), attempts=at % 7
        )
        for at, cell in enumerate(CELLS)
    ]  # fmt: skip
    known = {lead_id: known_of(await get_lead(pool, lead_id)) for lead_id in leads}
    for _ in range(150):
        condition = a_comparison(random)
        if random.random() < 0.3:
            condition = {"not": {"any": [condition, a_comparison(random)]}}
        compiled = compile_filter(condition)
        rows = await pool.fetch(
            f"select l.id from leads l left join places pl on pl.id = l.place_id where {compiled.sql}",
            *compiled.arguments,
        )
        parsed = parse(condition, "when", NO_QUESTIONS)
        ours = {lead_id for lead_id, lead in known.items() if holds(parsed, flow.tested({}, lead))}
        assert ours == {row["id"] for row in rows}, condition

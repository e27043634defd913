"""Scripts over the API."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.domain.roles import Role
from tests.campaigns.questionnaires.builders import choice, said, yes_no
from tests.campaigns.scripts.test_script import EXAMPLE
from tests.web.conftest import House


async def test_a_script_is_looked_at_and_nothing_is_kept(house: House) -> None:
    writer = await house.person(Role.NETWORK)
    assert await writer.do("POST", "/scripts/check", EXAMPLE) == {"findings": []}
    questions = [yes_no("a", next=[{"to": "end"}]), choice("b", when=said("a", "yes"))]
    found = await writer.do("POST", "/scripts/check", {"title": "t", "questionnaire": {"questions": questions}})
    assert [(one["code"], one["place"], one["remark"]) for one in found["findings"]] == [
        ("unreachable", "questions.b", False)
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"title": ""}, {"questionnaire": {"questions": [{"kind": "sing", "name": "a", "text": "?"}]}}, {"sections": [{"name": "A b", "title": "x", "text": "x"}]},
        {"questionnaire": {"questions": [yes_no("a", code="import os")]}}, {"variables": {"x{": {"field": "name"}}}, {"sections": [{"name": "a", "title": "x", "text": "a\x1bb"}]},
    ],
)  # fmt: skip
async def test_what_is_no_script_is_refused_by_its_field(house: House, part: dict[str, Any]) -> None:
    writer = await house.person(Role.PROJECT_MANAGER)
    answer = await writer.ask("POST", "/scripts/check", {"title": "t", **part})
    assert (answer.status, answer.error_id) == (422, "invalid_request")

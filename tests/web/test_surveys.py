"""Surveys over the API: written whole, refused while anything is wrong, results and answers as they were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from campaigns.release import EndedAttempt, finish
from campaigns.states import DialMode
from campaigns.surveys import SurveyNews, save_news
from dialer.domain.commands import ReloadProject
from dialer.domain.roles import Role
from dialer.web.deps import WebSettings
from tests.builders import NOON, a_lead, a_project, an_attempt
from tests.unit.domain.test_survey import STEPS
from tests.web.conftest import House

DOCUMENT = {"start": "hello", "steps": STEPS}


@pytest.fixture
def settings(tmp_path: Path) -> WebSettings:
    """The node's prompts are here."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    for name in ("hello", "happy", "removed", "bye"):
        (folder / f"{name}.alaw").touch()
    return WebSettings(prompts_dir=folder)


async def test_a_survey_is_kept_in_versions_and_the_engine_is_told(house: House) -> None:
    project, planner = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    path = f"/projects/{project.id}/survey"
    assert (await planner.ask("GET", path)).error_id == "survey_unknown"
    assert await planner.do("PUT", path, DOCUMENT) == {"version": 1, "prompts_checked": True}
    assert house.engine.commands == [ReloadProject(project_id=project.id)]
    assert (await planner.do("PUT", path, DOCUMENT))["version"] == 1, "the same again is no new version"
    changed = {"start": "bye", "steps": {"bye": STEPS["bye"]}}
    assert (await planner.do("PUT", path, changed))["version"] == 2
    assert (await planner.get(path))["survey"]["start"] == "bye"
    assert (await planner.get(path, version=1))["survey"]["start"] == "hello"
    assert [row["detail"]["version"] for row in await house.audited("survey_saved")] == [1, 1, 2]


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ({"kind": "play", "prompt": "silence"}, "prompt_missing"),
        ({"kind": "play", "prompt": "bye", "next": "hello"}, "endless"),
        ({"kind": "play", "prompt": "bye", "next": "nowhere"}, "step_unknown"),
    ],
)
async def test_a_survey_with_a_problem_is_refused_and_named_step_by_step(
    house: House, step: dict[str, Any], what: str
) -> None:
    project, planner = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    document = {"start": "hello", "steps": {**STEPS, "bye": step}}
    refused = await planner.ask("PUT", f"/projects/{project.id}/survey", document)
    assert (refused.status, refused.error_id) == (422, "survey_invalid")
    assert [one["what"] for one in refused.body["detail"]["problems"]] == [what]
    checked = await planner.do("POST", f"/projects/{project.id}/survey/check", document)
    assert [one["what"] for one in checked["problems"]] == [what]
    assert await house.pool.fetchval("select count(*) from surveys") == 0


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "sing"},
        {"kind": "play", "prompt": "../secret"},
        {"kind": "play", "prompt": "x,y"},
        {"kind": "ask", "prompt": "happy", "choices": {"12": None}},
        {"kind": "ask", "prompt": "happy", "choices": {"1": "A step"}},
        {"kind": "ask", "prompt": "happy", "choices": {"1": None}, "wait_s": 0},
    ],
)
async def test_what_could_become_a_command_or_makes_no_sense_is_refused(house: House, step: dict[str, Any]) -> None:
    project, planner = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    answer = await planner.ask("PUT", f"/projects/{project.id}/survey", {"start": "a", "steps": {"a": step}})
    assert (answer.status, answer.error_id) == (422, "invalid_request")


async def test_results_and_answers_are_those_of_the_version_and_numbers_are_masked(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    project, planner = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    await planner.do("PUT", f"/projects/{project.id}/survey", DOCUMENT)
    lead_id = await a_lead(house.pool, project.id, number="+8613812345678")
    claimed = await an_attempt(house.pool, project, lead_id, mode=DialMode.AGENTLESS)
    heard: dict[str, Any] = {"attempt_id": claimed.attempt_id, "project_id": project.id, "version": 1, "number": claimed.number, "at": NOON}  # fmt: skip
    async with house.pool.acquire() as conn:
        for _ in range(2):
            await save_news(conn, [SurveyNews(**heard), SurveyNews(**heard, step="happy", answer="2")])
    end = EndedAttempt(attempt_id=claimed.attempt_id, outcome="played", ended_at=NOON, answered_at=NOON)
    await finish(house.pool, [end])
    path = f"/projects/{project.id}/survey"
    assert await planner.get(f"{path}/results") == {
        "version": 1,
        "outcomes": {"played": 1},
        "answers": {"happy": {"2": 1}},
    }
    file = await planner.ask("GET", f"{path}/answers")
    lines = file.raw.decode("utf-8-sig").splitlines()
    assert lines[0] == "call,lead,number,answered_at,ended_at,outcome,happy,person,remove"
    assert lines[1].startswith(f"{claimed.attempt_id},{lead_id},")
    assert lines[1].endswith(",2026-06-01 12:00:00,2026-06-01 12:00:00,played,2,,")
    assert "12345678" not in lines[1]
    assert len(await house.audited("survey_answers_exported")) == 1
    assert "Unhandled exception" not in caplog.text


async def test_an_agent_reads_the_survey_of_their_own_projects_only(house: House) -> None:
    project = await a_project(house.pool, mode="agentless")
    admin = await house.person(Role.ADMIN)
    await admin.do("PUT", f"/projects/{project.id}/survey", DOCUMENT)
    stranger, own = await house.person(Role.AGENT), await house.person(Role.AGENT, projects=(project.id,))
    answers = [await one.ask("GET", f"/projects/{project.id}/survey") for one in (stranger, own)]
    assert [answer.status for answer in answers] == [404, 200]

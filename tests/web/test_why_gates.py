"""Why, gate by gate, over HTTP: a lead, a number, a list and a dry run, without the engine; numbers stay masked, past moments are told by what held then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from campaigns import do_not_call
from campaigns.states import ProjectState
from dialer.domain.errors import Unavailable
from dialer.domain.roles import Role
from tests.builders import NOON, a_lead, a_number, a_project
from tests.web.conftest import House


async def test_a_lead_is_told_gate_by_gate_with_rule_and_source_also_without_an_engine(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.SUPERVISOR)
    lead_id = await a_lead(house.pool, project.id)
    insurance = {"packs": [{"pack": "cn-insurance", "version": "2026.1"}]}
    assert (await person.ask("PUT", f"/projects/{project.id}/rule-packs", insurance)).status == 200
    house.engine.refuse = Unavailable("engine_away", "away")
    said = (await person.ask("GET", f"/leads/{lead_id}/gates")).body
    assert said["why"] == "registry"
    shut = next(gate for gate in said["gates"] if gate["gate"] == "registry")
    assert (shut["passed"], shut["rule"]) == (False, "cn-insurance@2026.1#refusals-looked-up")
    assert "保险" in shut["says_zh"]
    assert "电话销售" in shut["source"]


async def test_a_number_is_asked_about_in_a_body_and_is_masked_in_the_answer(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.QA)
    number = a_number()
    await do_not_call.add(house.pool, [number], reason=f"wrote from {number}", source="letter", now=NOON)
    answer = await person.ask("POST", f"/projects/{project.id}/gates", {"number": number})
    assert (answer.body["why"], answer.body["lead_id"]) == ("do_not_call", None)
    assert number not in str(answer.body)
    assert "letter" in answer.body["sentence"]
    wrong = await person.ask("POST", f"/projects/{project.id}/gates", {"number": "12"})
    assert (wrong.status, wrong.error_id) == (422, "number_invalid")


async def test_a_past_moment_knows_whether_the_project_ran(house: House) -> None:
    person = await house.person(Role.PROJECT_MANAGER)
    made = (await person.ask("POST", "/projects", {"name": "Autumn"})).body
    lead_id = await a_lead(house.pool, made["id"], created_at=NOON)
    then = house.clock() + timedelta(milliseconds=1)
    house.clock.ahead += timedelta(minutes=10)
    await person.ask("POST", f"/projects/{made['id']}/start")
    house.clock.ahead += timedelta(minutes=10)

    async def project_gate(at: Any) -> Any:
        asked = {"at": at.isoformat()}
        said = (await person.ask("GET", f"/leads/{lead_id}/gates", query=asked)).body
        return next(gate["passed"] for gate in said["gates"] if gate["gate"] == "project")

    assert await project_gate(then) is False  # a draft
    assert await project_gate(then + timedelta(minutes=11)) is True
    assert await project_gate(NOON) is None  # before all that is known


async def test_a_list_is_told_in_counts_with_what_limits_the_pacer(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.SUPERVISOR)
    for state in ("new", "new", "done"):
        await a_lead(house.pool, project.id, state=state)
    said = (await person.ask("GET", f"/projects/{project.id}/held-back")).body
    assert said["sentence"] == "3 leads: 2 dialable, 1 done."
    assert {one["reason"]: one["leads"] for one in said["held"]} == {"dialable": 2, "done": 1}
    assert said["pacing"].startswith("window")


async def test_a_dry_run_tells_what_would_be_refused_and_leaves_the_choice_as_it_was(house: House) -> None:
    project, person = await a_project(house.pool), await house.person(Role.PROJECT_MANAGER)
    await a_lead(house.pool, project.id)
    general = {"packs": [{"pack": "cn-general", "version": "2026.1"}], "at": "2026-06-01T04:00:00Z"}
    said = (await person.ask("POST", f"/projects/{project.id}/rule-packs/dry-run", general)).body
    assert (said["newly_refused"], said["newly_allowed"], said["shut"]) == (1, 0, None)
    assert said["changes"] == [{"before": "dialable", "after": "no_consent", "leads": 1}]
    insured = {"packs": [{"pack": "cn-insurance", "version": "2026.1"}]}
    told = (await person.ask("POST", f"/projects/{project.id}/rule-packs/dry-run", insured)).body
    assert "insurance-refusals" in told["shut"]
    assert (await person.ask("GET", f"/projects/{project.id}/rule-packs")).body == {"packs": []}
    assert (await person.ask("GET", f"/projects/{project.id}")).body["state"] == ProjectState.RUNNING

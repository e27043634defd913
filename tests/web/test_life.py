"""The life of a project over the API: what is missing is said at once, who may not is refused, and every try is audited."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.life.table import WHO, Step
from campaigns.states import ProjectState
from dialer.db.audit_trail import project_at
from dialer.domain.commands import PauseProject, ReloadProject, StartProject
from dialer.domain.roles import Role
from dialer.web.deps import WebSettings
from tests.builders import a_project
from tests.web.conftest import House

pytestmark = pytest.mark.services


async def test_a_project_says_where_it_is_and_what_each_step_still_asks_for(house: House) -> None:
    project = await a_project(house.pool, state=ProjectState.DRAFT, sign_offs=True)
    manager = await house.person(Role.PROJECT_MANAGER)
    found = (await manager.ask("GET", f"/projects/{project.id}/life")).body
    assert (found["life"], found["state"], found["sign_offs"]) == ("draft", "draft", True)
    begin = next(one for one in found["next"] if one["step"] == "begin_trial")
    assert begin["may"] is False
    assert {one["requirement"] for one in begin["required"] if not one["met"]} >= {"script", "data", "sign_off_trial"}
    assert all(one["to_do"] for one in begin["required"])


async def test_a_refused_step_lists_what_is_missing_and_is_audited(house: House) -> None:
    project = await a_project(house.pool, state=ProjectState.DRAFT, sign_offs=True)
    manager = await house.person(Role.PROJECT_MANAGER)
    answer = await manager.ask("POST", f"/projects/{project.id}/steps", {"step": "begin_trial"})
    assert (answer.status, answer.error_id) == (409, "step_refused")
    missing = {one["id"] for one in answer.body["detail"]["missing"]}
    [row] = await house.audited("project_step")
    assert (
        set(row["detail"]["missing"]) == missing >= {"script", "data", "rule_pack", "senior_agents", "sign_off_trial"}
    )
    assert row["detail"]["refused"] == "step_refused"
    assert house.engine.commands == []


async def test_a_stop_says_why_hangs_up_what_rings_and_is_lifted_by_who_may(house: House) -> None:
    project = await a_project(house.pool)
    leader, manager = await house.person(Role.TEAM_LEADER), await house.person(Role.PROJECT_MANAGER)
    path = f"/projects/{project.id}/steps"
    assert (await leader.ask("POST", path, {"step": "stop"})).error_id == "step_refused"
    stopped = await leader.ask("POST", path, {"step": "stop", "why": "客户投诉"})
    assert stopped.body == {"project_id": str(project.id), "life": "stopped", "moved": True, "figures_sha256": None}
    [told] = house.engine.commands
    assert told == ReloadProject(project_id=project.id, hang_up_ringing=True)
    refused = await leader.ask("POST", path, {"step": "lift", "changed": "话术"})
    assert (refused.status, refused.error_id) == (403, "step_not_for_role")
    lifted = await manager.ask("POST", path, {"step": "lift", "changed": "话术"})
    assert lifted.body["life"] == "paused"
    kept = (await manager.ask("GET", f"/projects/{project.id}/steps")).body["items"]
    assert [(one["step"], one["role"], one["why"], one["changed"]) for one in kept] == [
        ("lift", "project_manager", "", "话术"),
        ("stop", "team_leader", "客户投诉", ""),
    ]


async def test_a_signature_is_kept_with_the_hash_of_its_file_and_shown(house: House) -> None:
    project = await a_project(house.pool, state=ProjectState.DRAFT, sign_offs=True)
    manager = await house.person(Role.PROJECT_MANAGER)
    body: dict[str, Any] = {
        "kind": "trial", "signer": "陈经理", "signed_at": house.clock().isoformat(), "evidence_name": "试呼确认.pdf", "evidence_sha256": "ab" * 32,
    }  # fmt: skip
    kept = await manager.ask("POST", f"/projects/{project.id}/sign-offs", body)
    assert kept.status == 201
    assert (kept.body["signer"], kept.body["evidence_sha256"], kept.body["used_by"]) == ("陈经理", "ab" * 32, None)
    shown = (await manager.ask("GET", f"/projects/{project.id}/sign-offs")).body["sign_offs"]
    assert shown == [kept.body]
    [row] = await house.audited("sign_off_recorded")
    assert row["detail"]["evidence_sha256"] == "ab" * 32
    wrong = await manager.ask("POST", f"/projects/{project.id}/sign-offs", {**body, "evidence_sha256": "AB"})
    assert wrong.error_id == "invalid_request"


async def test_the_figures_of_a_project_that_dialled_nothing_are_there_and_not_frozen(house: House) -> None:
    project = await a_project(house.pool, mode="trial")
    manager = await house.person(Role.PROJECT_MANAGER)
    found = (await manager.ask("GET", f"/projects/{project.id}/figures")).body
    assert found["frozen"] == []
    assert found["now"]["shares"]["valid_connect"]["share"] is None


async def test_each_step_is_for_the_roles_of_the_table(house: House) -> None:
    project = await a_project(house.pool, state=ProjectState.ARCHIVED)
    for role in sorted({role for roles in WHO.values() for role in roles}):
        person = await house.person(Role(role))
        for step in Step:
            answer = await person.ask("POST", f"/projects/{project.id}/steps", {"step": step.value})
            assert (answer.status == 403) == (role not in WHO[step]), (role, step)


async def test_start_and_pause_say_who_asks(house: House) -> None:
    project = await a_project(house.pool)
    leader = await house.person(Role.SUPERVISOR)
    await leader.ask("POST", f"/projects/{project.id}/start")
    await leader.ask("POST", f"/projects/{project.id}/pause")
    start, pause = house.engine.commands
    assert isinstance(start, StartProject)
    assert isinstance(pause, PauseProject)
    assert start.by == pause.by
    assert (start.by.role, start.by.user_id) == ("supervisor", leader.user_id)


async def test_what_a_project_was_at_a_past_moment_is_told_by_its_steps(house: House) -> None:
    project = await a_project(house.pool)
    manager = await house.person(Role.PROJECT_MANAGER)
    await manager.do("POST", f"/projects/{project.id}/steps", {"step": "stop", "why": "投诉"})
    stopped_at = house.clock()
    await manager.do("POST", f"/projects/{project.id}/steps", {"step": "lift", "changed": "话术"})
    assert await project_at(house.pool, project.id, stopped_at) == ("stopped", False)
    assert await project_at(house.pool, project.id, house.clock()) == ("paused", False)


class TestAnInstallationWithCeremony:
    @pytest.fixture
    def settings(self) -> WebSettings:
        return WebSettings(project_sign_offs=True)

    async def test_new_projects_go_through_sign_offs_unless_they_say_otherwise(self, house: House) -> None:
        manager = await house.person(Role.PROJECT_MANAGER)
        usual = await manager.ask("POST", "/projects", {"name": "usual"})
        plain = await manager.ask("POST", "/projects", {"name": "plain", "sign_offs": False})
        assert (usual.body["sign_offs"], plain.body["sign_offs"]) == (True, False)

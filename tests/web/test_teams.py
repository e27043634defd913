"""Assignment over the API: who moves whom, that the engine is told of both sides, and that an agent sees their own projects only."""

from __future__ import annotations

import pytest

from dialer.domain.commands import ReloadProject
from dialer.domain.roles import Role
from tests.builders import a_project, an_agent
from tests.web.conftest import House

pytestmark = pytest.mark.services


async def test_a_supervisor_moves_an_agent_and_the_engine_hears_of_both_projects(house: House) -> None:
    former, later = await a_project(house.pool), await a_project(house.pool)
    agent_id = await an_agent(house.pool, projects=[former.id])
    supervisor = await house.person(Role.SUPERVISOR)
    body = {"projects": [{"project_id": str(later.id), "priority": 5}]}
    moved = await supervisor.ask("PUT", f"/agents/{agent_id}/projects", body)
    assert moved.body["projects"] == [
        {"project_id": str(later.id), "name": later.name, "priority": 5, "own": True, "serves": True}
    ]
    assert {one.project_id for one in house.engine.commands if isinstance(one, ReloadProject)} == {former.id, later.id}
    assert (await supervisor.ask("GET", f"/agents/{agent_id}/projects")).body == moved.body
    [row] = await house.audited("agent_moved")
    assert row["detail"]["projects"][0]["priority"] == 5
    nobody = await supervisor.ask("PUT", f"/agents/{later.id}/projects", body)
    assert (nobody.status, nobody.error_id) == (404, "agent_unknown")


async def test_a_team_is_made_filled_and_put_on_a_project(house: House) -> None:
    project = await a_project(house.pool)
    leader = await house.person(Role.TEAM_LEADER)
    team = (await leader.ask("POST", "/teams", {"name": "资深组", "senior": True})).body
    agent_id = await an_agent(house.pool)
    await leader.ask("PUT", f"/projects/{project.id}/teams", {"teams": [{"team_id": team["id"], "priority": 2}]})
    found = await leader.ask("PUT", f"/agents/{agent_id}/team", {"team_id": team["id"]})
    assert [(one["priority"], one["own"]) for one in found.body["projects"]] == [(2, False)]
    assert (await leader.ask("GET", "/teams")).body["teams"] == [team | {"agents": 1}]
    assert (await leader.ask("GET", f"/agents/{agent_id}")).body["team_id"] == team["id"]
    renamed = await leader.ask("PATCH", f"/teams/{team['id']}", {"senior": False})
    assert (renamed.body["name"], renamed.body["senior"]) == ("资深组", False)


async def test_an_agent_sees_the_projects_whose_calls_they_get_and_no_others(house: House) -> None:
    own, other = await a_project(house.pool), await a_project(house.pool)
    agent = await house.person(Role.AGENT, projects=(own.id,))
    assert [one["id"] for one in (await agent.ask("GET", "/projects")).body["items"]] == [str(own.id)]
    assert (await agent.ask("GET", f"/projects/{other.id}")).status == 404

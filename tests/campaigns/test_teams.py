"""Assignment: by oneself or with one's team, with the skills a project asks for, and in a trial of a senior team."""

from __future__ import annotations

from uuid import UUID

import pytest

from campaigns import projects
from campaigns.errors import Conflict, Missing
from campaigns.sql import Pool
from campaigns.states import ProjectState
from campaigns.teams import Assigned, add_team, change_team, move, projects_of, set_team, set_teams, teams, teams_of
from dialer.db.agents import get_agent
from tests.builders import a_project, an_agent

pytestmark = pytest.mark.services


async def serves(pool: Pool, agent_id: UUID) -> dict[UUID, int]:
    return dict((await get_agent(pool, agent_id)).priorities)


async def test_an_agent_serves_what_they_and_their_team_are_assigned_to_with_the_higher_priority(pool: Pool) -> None:
    first, second, other = await a_project(pool), await a_project(pool), await a_project(pool)
    team = await add_team(pool, name="白班", senior=False)
    agent_id = await an_agent(pool, projects=[other.id])
    await set_team(pool, agent_id, team.id)
    await set_teams(pool, first.id, {team.id: 3})
    await set_teams(pool, second.id, {team.id: 1})
    await move(pool, agent_id, {first.id: 2, other.id: 7})
    assert await serves(pool, agent_id) == {first.id: 3, second.id: 1, other.id: 7}
    assert await projects_of(pool, agent_id) == [
        Assigned(project_id=other.id, name=other.name, priority=7, own=True, serves=True),
        Assigned(project_id=first.id, name=first.name, priority=3, own=True, serves=True),
        Assigned(project_id=second.id, name=second.name, priority=1, own=False, serves=True),
    ]
    await move(pool, agent_id, {})
    assert await serves(pool, agent_id) == {first.id: 3, second.id: 1}
    await set_team(pool, agent_id, None)
    assert await serves(pool, agent_id) == {}


async def test_who_lacks_a_skill_is_assigned_but_neither_serves_nor_sees_the_project(pool: Pool) -> None:
    project = await a_project(pool, skills=["cantonese"])
    agent_id = await an_agent(pool, projects=[project.id])
    [one] = await projects_of(pool, agent_id)
    assert one.serves is False
    assert await projects.list_projects(pool, agent_id=agent_id) == []
    await pool.execute("update agents set skills = '{loans,cantonese}' where id = $1", agent_id)
    assert [one.id for one in await projects.list_projects(pool, agent_id=agent_id)] == [project.id]
    assert await serves(pool, agent_id) == {project.id: 0}


async def test_the_calls_of_a_trial_with_sign_offs_go_to_senior_teams_alone(pool: Pool) -> None:
    project = await a_project(pool, state=ProjectState.DRAFT, sign_offs=True)
    seniors = await add_team(pool, name="资深组", senior=True)
    junior, senior = await an_agent(pool, projects=[project.id]), await an_agent(pool, projects=[project.id])
    await set_team(pool, senior, seniors.id)
    await pool.execute(
        "update projects set state = 'running', stage = 'trial', mode = 'trial' where id = $1", project.id
    )
    assert (await serves(pool, junior), await serves(pool, senior)) == ({}, {project.id: 0})
    await pool.execute("update projects set stage = 'formal' where id = $1", project.id)
    assert await serves(pool, junior) == {project.id: 0}


async def test_teams_have_names_of_their_own_and_what_is_not_there_is_said(pool: Pool) -> None:
    team = await add_team(pool, name="白班", senior=False)
    other = await add_team(pool, name="夜班", senior=False)
    with pytest.raises(Conflict, match="choose another"):
        await add_team(pool, name="白班", senior=True)
    with pytest.raises(Conflict, match="choose another"):
        await change_team(pool, other.id, name="白班", senior=None)
    assert (await change_team(pool, team.id, name=None, senior=True)).senior is True
    project, agent_id, nobody = await a_project(pool), await an_agent(pool), UUID(int=1)
    for wrong in (
        teams(pool, nobody),
        set_team(pool, agent_id, nobody),
        set_team(pool, nobody, team.id),
        move(pool, agent_id, {nobody: 1}),
        set_teams(pool, project.id, {nobody: 1}),
    ):
        with pytest.raises(Missing):
            await wrong
    await set_teams(pool, project.id, {team.id: 4})
    assert await teams_of(pool, project.id) == {team.id: 4}

"""Teams and assignment: a change holds from each agent's next call on; the call at hand is finished."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from campaigns import teams as campaign_teams
from dialer.db import seats
from dialer.db.sql import Connection
from dialer.domain.errors import NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.projects.routes import there
from dialer.web.roles import PLANNERS, STAFF, STAFF_READERS
from dialer.web.teams.types import (
    AssignedTo,
    Assignment,
    InTeam,
    Move,
    NewTeam,
    OfTeam,
    ProjectTeams,
    Team,
    TeamChange,
    Teams,
)


@operation("GET", "/teams", roles=STAFF_READERS, summary="List teams")
async def list_teams(call: Call) -> Teams:
    """By name."""
    async with call.connection() as conn:
        return Teams(teams=[Team.model_validate(one) for one in await campaign_teams.teams(conn)])


@operation("POST", "/teams", roles=STAFF, summary="Make a team", status=201)
async def create_team(call: Call, body: NewTeam) -> Team:
    """Empty; a senior one takes the calls of trials."""
    async with call.transaction() as conn:
        made = await campaign_teams.add_team(conn, name=body.name, senior=body.senior)
        await call.audit(conn, "team_created", "team", made.id, name=made.name, senior=made.senior)
    return Team.model_validate(made)


@operation("PATCH", "/teams/{team_id}", roles=STAFF, summary="Change a team")
async def change_team(call: Call, team_id: UUID, body: TeamChange) -> Team:
    """What is left out or null stays."""
    async with call.transaction() as conn:
        changed = await campaign_teams.change_team(conn, team_id, name=body.name, senior=body.senior)
        await call.audit(conn, "team_changed", "team", team_id, name=changed.name, senior=changed.senior)
        projects = await campaign_teams.projects_of_team(conn, team_id)
    await _tell(call, projects)
    return Team.model_validate(changed)


@operation("PUT", "/agents/{agent_id}/team", roles=STAFF, summary="Put an agent into a team")
async def put_team(call: Call, agent_id: UUID, body: InTeam) -> Assignment:
    """Or into none. They work on what their team works on, from the next call on."""
    async with call.transaction() as conn:
        before = await seats.projects_of_agent(conn, agent_id)
        await campaign_teams.set_team(conn, agent_id, body.team_id)
        await call.audit(conn, "agent_team_set", "agent", agent_id, team_id=body.team_id)
        found = await _assignment(conn, agent_id)
    await _tell(call, {*before, *(one.project_id for one in found.projects)})
    return found


@operation("GET", "/agents/{agent_id}/projects", roles=STAFF_READERS, summary="What an agent works on")
async def get_assignment(call: Call, agent_id: UUID) -> Assignment:
    """By themselves and with their team; what comes first for them first."""
    async with call.connection() as conn:
        return await _assignment(conn, agent_id)


@operation("PUT", "/agents/{agent_id}/projects", roles=STAFF, summary="Move an agent between projects")
async def move_agent(call: Call, agent_id: UUID, body: Move) -> Assignment:
    """These projects and no others, besides those of their team. It holds from the next call on; the call at hand is finished."""
    async with call.transaction() as conn:
        before = await seats.projects_of_agent(conn, agent_id)
        await _assignment(conn, agent_id)
        await campaign_teams.move(conn, agent_id, {one.project_id: one.priority for one in body.projects})
        await call.audit(conn, "agent_moved", "agent", agent_id, **body.model_dump(mode="json"))
        found = await _assignment(conn, agent_id)
    await _tell(call, {*before, *(one.project_id for one in found.projects)})
    return found


@operation("GET", "/projects/{project_id}/teams", roles=STAFF_READERS, summary="Which teams work on a project")
async def get_project_teams(call: Call, project_id: UUID) -> ProjectTeams:
    """With the priority it has for each."""
    async with call.connection() as conn:
        await there(conn, project_id)
        return await _teams(conn, project_id)


@operation("PUT", "/projects/{project_id}/teams", roles=STAFF | PLANNERS, summary="Say which teams work on a project")
async def put_project_teams(call: Call, project_id: UUID, body: ProjectTeams) -> ProjectTeams:
    """These teams and no others; agents assigned by themselves stay."""
    async with call.transaction() as conn:
        await there(conn, project_id)
        await campaign_teams.set_teams(conn, project_id, {one.team_id: one.priority for one in body.teams})
        await call.audit(conn, "project_teams_set", "project", project_id, **body.model_dump(mode="json"))
        kept = await _teams(conn, project_id)
    await reload_project(call, project_id)
    return kept


async def _assignment(conn: Connection, agent_id: UUID) -> Assignment:
    if await seats.agent(conn, agent_id) is None:
        raise NotFound("agent_unknown", "There is no such agent.")
    found = await campaign_teams.projects_of(conn, agent_id)
    return Assignment(agent_id=agent_id, projects=[AssignedTo.model_validate(one) for one in found])


async def _teams(conn: Connection, project_id: UUID) -> ProjectTeams:
    found = await campaign_teams.teams_of(conn, project_id)
    return ProjectTeams(teams=[OfTeam(team_id=team_id, priority=priority) for team_id, priority in found.items()])


async def _tell(call: Call, projects: Iterable[UUID]) -> None:
    for project_id in sorted(projects):
        await reload_project(call, project_id)

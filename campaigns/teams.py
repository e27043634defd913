"""Teams and assignment: who works on which project, by themselves or with their team, and how much this project comes first for them.

Two views say what follows from the rows: `assignments` (who is assigned, by whatever way) and `serving` (who of them gets its calls: with all the
skills the project asks for, and in a trial with sign-offs only members of a senior team).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from campaigns.errors import Conflict, Missing
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A group of agents. A senior one takes the calls of trials."""

    id: UUID
    name: str
    senior: bool
    agents: int


_TEAMS = """
select t.id, t.name, t.senior, (select count(*) from agents a where a.team_id = t.id) as agents from teams t
where $1::uuid is null or t.id = $1 order by t.name
"""


async def teams(conn: Connection, team_id: UUID | None = None) -> list[Team]:
    """All teams by name, or one. Errors: Missing `team_unknown`."""
    found = [Team(**row) for row in await conn.fetch(_TEAMS, team_id)]
    if team_id is not None and not found:
        raise Missing("team_unknown", "There is no such team.")
    return found


async def add_team(conn: Connection, *, name: str, senior: bool) -> Team:
    """A new team. Errors: Conflict `team_name_taken`."""
    try:
        made = await conn.fetchval("insert into teams (name, senior) values ($1, $2) returning id", name, senior)
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error
    return (await teams(conn, made))[0]


async def change_team(conn: Connection, team_id: UUID, *, name: str | None, senior: bool | None) -> Team:
    """What is None stays. Errors: Missing `team_unknown`; Conflict `team_name_taken`."""
    try:
        await conn.execute(
            "update teams set name = coalesce($2, name), senior = coalesce($3, senior) where id = $1",
            team_id,
            name,
            senior,
        )
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error
    return (await teams(conn, team_id))[0]


def _taken() -> Conflict:
    return Conflict("team_name_taken", "There is a team of this name: choose another.")


async def set_team(conn: Connection, agent_id: UUID, team_id: UUID | None) -> None:
    """Put an agent into a team, or into none. Errors: Missing `team_unknown`, `agent_unknown`."""
    try:
        found = await conn.fetchval("update agents set team_id = $2 where id = $1 returning true", agent_id, team_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("team_unknown", "There is no such team.") from error
    if not found:
        raise Missing("agent_unknown", "There is no such agent.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """A project somebody is assigned to. `own`: by themselves (else only with their team); `serves`: they get its calls now."""

    project_id: UUID
    name: str
    priority: int
    own: bool
    serves: bool


_OF_AGENT = """
select s.project_id, p.name, s.priority,
       exists (select from project_agents o where o.project_id = s.project_id and o.agent_id = $1) as own,
       exists (select from serving v where v.project_id = s.project_id and v.agent_id = $1) as serves
from assignments s join projects p on p.id = s.project_id
where s.agent_id = $1 order by s.priority desc, p.name
"""


async def projects_of(conn: Connection, agent_id: UUID) -> list[Assigned]:
    """What an agent is assigned to, what comes first for them first."""
    return [Assigned(**row) for row in await conn.fetch(_OF_AGENT, agent_id)]


_SET_OF_AGENT = """
with gone as (
    delete from project_agents where agent_id = $1 and project_id <> all ($2::uuid[])
)
insert into project_agents (project_id, agent_id, priority)
select g.project_id, $1, g.priority from unnest($2::uuid[], $3::smallint[]) g (project_id, priority)
on conflict (project_id, agent_id) do update set priority = excluded.priority
"""


async def move(conn: Connection, agent_id: UUID, priorities: Mapping[UUID, int]) -> None:
    """Assign an agent to these projects, and by themselves to no others; what their team is assigned to stays. It holds from the next call on.

    Errors: Missing `project_or_agent_unknown`.
    """
    try:
        await conn.execute(_SET_OF_AGENT, agent_id, list(priorities), list(priorities.values()))
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_or_agent_unknown", "There is no such project or agent.") from error


_TEAMS_OF_PROJECT = "select team_id, priority from project_teams where project_id = $1 order by team_id"
_SET_TEAMS = """
with gone as (
    delete from project_teams where project_id = $1 and team_id <> all ($2::uuid[])
)
insert into project_teams (project_id, team_id, priority)
select $1, g.team_id, g.priority from unnest($2::uuid[], $3::smallint[]) g (team_id, priority)
on conflict (project_id, team_id) do update set priority = excluded.priority
"""


async def teams_of(conn: Connection, project_id: UUID) -> dict[UUID, int]:
    """The teams that work on a project, with their priority for it."""
    return {row["team_id"]: row["priority"] for row in await conn.fetch(_TEAMS_OF_PROJECT, project_id)}


async def set_teams(conn: Connection, project_id: UUID, priorities: Mapping[UUID, int]) -> None:
    """Make these, and no others, the teams of a project. Errors: Missing `project_or_team_unknown`."""
    try:
        await conn.execute(_SET_TEAMS, project_id, list(priorities), list(priorities.values()))
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_or_team_unknown", "There is no such project or team.") from error


async def projects_of_team(conn: Connection, team_id: UUID) -> list[UUID]:
    """The projects a team works on."""
    rows = await conn.fetch("select project_id from project_teams where team_id = $1 order by project_id", team_id)
    return [row["project_id"] for row in rows]

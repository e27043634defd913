"""Agents and their devices as the API shows and keeps them."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent."""

    id: UUID
    user_id: UUID
    number: str
    display_name: str
    skills: list[str]
    team_id: UUID | None
    created_at: datetime


_AGENT = "id, user_id, number, display_name, skills, team_id, created_at"
AGENTS = f"""
select {_AGENT} from agents a
where ($1::text is null or number > $1)
  and ($2::uuid is null or exists (select from assignments p where p.agent_id = a.id and p.project_id = $2))
order by number limit $3
"""
AGENT = f"select {_AGENT} from agents where id = $1"
CREATE_AGENT = f"insert into agents (user_id, number, display_name, skills) values ($1, $2, $3, $4) returning {_AGENT}"
CHANGE_AGENT = f"""
update agents set number = coalesce($2, number), display_name = coalesce($3, display_name), skills = coalesce($4, skills)
where id = $1 returning {_AGENT}
"""
PROJECTS_OF_AGENT = "select project_id from assignments where agent_id = $1 order by project_id"


async def agents(conn: Connection, *, after: str | None, project_id: UUID | None, limit: int) -> list[AgentRow]:
    """By number (工号); those of a project, when one is given."""
    return [AgentRow(**dict(row)) for row in await conn.fetch(AGENTS, after, project_id, limit)]


async def agent(conn: Connection, agent_id: UUID) -> AgentRow | None:
    """One agent."""
    row = await conn.fetchrow(AGENT, agent_id)
    return AgentRow(**dict(row)) if row else None


async def create_agent(
    conn: Connection, *, user_id: UUID, number: str, display_name: str, skills: list[str]
) -> AgentRow:
    """A new agent. Errors: UniqueViolationError (number, user), ForeignKeyViolationError (user)."""
    row = await conn.fetchrow(CREATE_AGENT, user_id, number, display_name, skills)
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return AgentRow(**dict(row))


async def change_agent(
    conn: Connection, agent_id: UUID, *, number: str | None, display_name: str | None, skills: list[str] | None
) -> AgentRow | None:
    """Change what is given. None: there is no such agent."""
    row = await conn.fetchrow(CHANGE_AGENT, agent_id, number, display_name, skills)
    return AgentRow(**dict(row)) if row else None


async def projects_of_agent(conn: Connection, agent_id: UUID) -> list[UUID]:
    """The projects an agent works on."""
    return [row["project_id"] for row in await conn.fetch(PROJECTS_OF_AGENT, agent_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A softphone or a browser's phone; its digest stays in the database."""

    id: UUID
    agent_id: UUID
    node: str
    kind: str
    username: str
    rotated_at: datetime
    removed_at: datetime | None


_DEVICE = "id, agent_id, node, kind, username, rotated_at, removed_at"
DEVICES = f"""
select {_DEVICE} from devices
where agent_id = $1 and removed_at is null and ($2::uuid is null or id > $2) order by id limit $3
"""
DEVICE = f"select {_DEVICE} from devices where id = $1 and removed_at is null"
CREATE_DEVICE = f"""
insert into devices (agent_id, node, kind, username, digest, rotated_at) values ($1, $2, $3, $4, $5, $6) returning {_DEVICE}
"""
ROTATE_DEVICE = (
    f"update devices set digest = $2, rotated_at = $3 where id = $1 and removed_at is null returning {_DEVICE}"
)
REMOVE_DEVICE = f"update devices set removed_at = $2 where id = $1 and removed_at is null returning {_DEVICE}"


async def devices(conn: Connection, agent_id: UUID, *, after: UUID | None, limit: int) -> list[DeviceRow]:
    """An agent's devices."""
    return [DeviceRow(**dict(row)) for row in await conn.fetch(DEVICES, agent_id, after, limit)]


async def device(conn: Connection, device_id: UUID) -> DeviceRow | None:
    """A device that has not been removed."""
    row = await conn.fetchrow(DEVICE, device_id)
    return DeviceRow(**dict(row)) if row else None


async def create_device(
    conn: Connection, *, agent_id: UUID, node: str, kind: str, username: str, digest: str, now: datetime
) -> DeviceRow:
    """A new device. Errors: ForeignKeyViolationError (agent, node)."""
    row = await conn.fetchrow(CREATE_DEVICE, agent_id, node, kind, username, digest, now)
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return DeviceRow(**dict(row))


async def rotate_device(conn: Connection, device_id: UUID, *, digest: str, now: datetime) -> DeviceRow | None:
    """A new secret. None: there is no such device."""
    row = await conn.fetchrow(ROTATE_DEVICE, device_id, digest, now)
    return DeviceRow(**dict(row)) if row else None


async def remove_device(conn: Connection, device_id: UUID, *, now: datetime) -> DeviceRow | None:
    """It may not register any more. None: there is no such device."""
    row = await conn.fetchrow(REMOVE_DEVICE, device_id, now)
    return DeviceRow(**dict(row)) if row else None

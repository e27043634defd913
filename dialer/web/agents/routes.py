"""Agents (座席): the people who take the calls."""

from __future__ import annotations

from uuid import UUID

from dialer.db import seats
from dialer.domain.errors import NotFound
from dialer.web.agents.types import Agent, AgentChange, AgentQuery, NewAgent
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.fields import Page, after_cursor, page_of, plain_text
from dialer.web.roles import STAFF, STAFF_READERS


@operation("GET", "/agents", roles=STAFF_READERS, summary="List agents")
async def list_agents(call: Call, query: AgentQuery) -> Page[Agent]:
    """By number (工号)."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await seats.agents(
            conn, after=after[0] if after else None, project_id=query.project_id, limit=query.limit + 1
        )
    return page_of(rows, query.limit, Agent.model_validate, lambda row: [row.number])


@operation("POST", "/agents", roles=STAFF, summary="Make a user an agent", status=201)
async def create_agent(call: Call, body: NewAgent) -> Agent:
    """The user logs in; the agent sits on the floor."""
    async with call.transaction() as conn:
        row = await seats.create_agent(
            conn, user_id=body.user_id, number=body.number, display_name=body.display_name, skills=list(body.skills)
        )
        await call.audit(conn, "agent_created", "agent", row.id, number=row.number, user_id=row.user_id)
    return Agent.model_validate(row)


@operation("GET", "/agents/{agent_id}", roles=STAFF_READERS, summary="An agent")
async def get_agent(call: Call, agent_id: UUID) -> Agent:
    """One agent."""
    async with call.connection() as conn:
        return _there(await seats.agent(conn, agent_id))


@operation("PATCH", "/agents/{agent_id}", roles=STAFF, summary="Change an agent")
async def change_agent(call: Call, agent_id: UUID, body: AgentChange) -> Agent:
    """What is left out or null stays."""
    async with call.transaction() as conn:
        agent = _there(await seats.change_agent(
            conn, agent_id, number=body.number, display_name=body.display_name, skills=None if body.skills is None else list(body.skills)
        ))  # fmt: skip
        await call.audit(conn, "agent_changed", "agent", agent_id, **body.model_dump(mode="json", exclude_none=True))
        projects = await seats.projects_of_agent(conn, agent_id)
    for project_id in projects:
        await reload_project(call, project_id)
    return agent


def _there(row: seats.AgentRow | None) -> Agent:
    if row is None:
        raise NotFound("agent_unknown", "There is no such agent.")
    return Agent.model_validate(row)

"""Agents as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Name, Out, PageQuery

AgentNumber = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,20}$", description="工号")]
Skills = Annotated[list[Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]], Field(max_length=50)]


class AgentQuery(PageQuery):
    """Which agents."""

    project_id: UUID | None = None


class NewAgent(In):
    """An agent to be; the user must be there."""

    user_id: UUID
    number: AgentNumber
    display_name: Name
    skills: Skills = Field(default_factory=list)


class AgentChange(In):
    """What is to change; what is left out or null stays."""

    number: AgentNumber | None = None
    display_name: Name | None = None
    skills: Skills | None = None


class Agent(Out):
    """An agent."""

    id: UUID
    user_id: UUID
    number: str
    display_name: str
    skills: list[str]
    team_id: UUID | None
    created_at: datetime

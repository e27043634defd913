"""Teams and assignment as the API shows and takes them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Name, Out

Priority = Annotated[int, Field(ge=0, le=9, description="Higher comes first: of this project for this agent or team.")]


class NewTeam(In):
    """A team to be."""

    name: Name
    senior: bool = Field(default=False, description="It takes the calls of trials.")


class TeamChange(In):
    """What is to change; what is left out or null stays."""

    name: Name | None = None
    senior: bool | None = None


class Team(Out):
    """A team."""

    id: UUID
    name: str
    senior: bool
    agents: int = Field(description="How many are in it.")


class Teams(Out):
    """All teams, by name."""

    teams: list[Team]


class InTeam(In):
    """The team an agent is in."""

    team_id: UUID | None = Field(default=None, description="Null: none.")


class ToProject(In):
    """A project, and how much it comes first."""

    project_id: UUID
    priority: Priority = 0


class Move(In):
    """The projects an agent is assigned to by themselves: the whole list."""

    projects: Annotated[list[ToProject], Field(max_length=200)]


class AssignedTo(Out):
    """A project an agent is assigned to."""

    project_id: UUID
    name: str
    priority: int
    own: bool = Field(description="By themselves; else with their team only.")
    serves: bool = Field(description="They get its calls: their skills do, and a trial has a senior team.")


class Assignment(Out):
    """What an agent works on, what comes first for them first."""

    agent_id: UUID
    projects: list[AssignedTo]


class OfTeam(In):
    """A team, and how much the project comes first for it."""

    team_id: UUID
    priority: Priority = 0


class ProjectTeams(In):
    """The teams that work on a project: the whole list."""

    teams: Annotated[list[OfTeam], Field(max_length=500)]

"""Reports as the API shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Moment, Out


class Span(In):
    """From when to when."""

    since: Moment | None = Field(default=None, description="Calls begun at or after.")
    until: Moment | None = Field(default=None, description="Calls begun before.")


class Outcome(Out):
    """What calls came to."""

    outcome: str | None = Field(description="null: not ended yet.")
    attempts: int
    talk_ms: int


class Summary(Out):
    """A project's figures."""

    project_id: UUID
    since: datetime | None
    until: datetime | None
    attempts: int
    answered: int
    bridged: int
    abandoned: int
    talk_ms: int = Field(description="From bridged to ended, summed.")
    outcomes: list[Outcome]
    dispositions: dict[str, int]


class Previewed(Out):
    """What an agent made of the leads that were shown to them."""

    agent_id: UUID
    dialled: int
    skipped: int
    lapsed: int = Field(description="Nobody decided in time, and the project gives such leads back.")
    left: int = Field(description="The agent went on a break or home.")
    reasons: dict[str, int] = Field(description="Of the skips: how often each was given.")


class Previews(Out):
    """A project's previews, agent by agent."""

    agents: list[Previewed]

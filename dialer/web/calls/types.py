"""Calls as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import BigId, Masked, Moment, Out, PageQuery


class CallQuery(PageQuery):
    """Which calls."""

    project_id: UUID | None = None
    agent_id: UUID | None = None
    lead_id: BigId | None = None
    outcome: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] | None = None
    since: Moment | None = Field(default=None, description="Begun at or after.")
    until: Moment | None = Field(default=None, description="Begun before.")


class CallOut(Out):
    """A call: one attempt to reach one number."""

    id: UUID
    lead_id: int | None
    project_id: UUID
    number: Masked
    node: str
    trunk_id: UUID
    caller_number: str
    mode: str
    agent_id: UUID | None
    state: str
    created_at: datetime
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    hangup_cause: int | None = Field(description="Q.850 cause of the hang-up.")
    abandoned: bool
    disposition: str | None
    note: str | None
    recording_id: UUID | None
    recording_state: str | None


class Happening(Out):
    """Something that happened in a call."""

    at: datetime
    what: str


class CallHistory(CallOut):
    """A call with what happened in it, in order."""

    history: list[Happening]

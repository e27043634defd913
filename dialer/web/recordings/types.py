"""Recordings as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import Masked, Moment, Out, PageQuery

State = Literal["pending", "stored", "missing", "poisoned"]


class RecordingQuery(PageQuery):
    """Which recordings."""

    project_id: UUID | None = None
    agent_id: UUID | None = None
    state: State | None = None
    since: Moment | None = Field(default=None, description="Answered at or after.")
    until: Moment | None = Field(default=None, description="Answered before.")


class Recording(Out):
    """A recording: stereo, the customer on the left, the agent on the right."""

    id: UUID
    call_id: UUID
    lead_id: int | None
    project_id: UUID
    agent_id: UUID | None
    number: Masked
    state: State
    reason: str | None = Field(description="Why there is none, or what is wrong with it.")
    sha256: str | None = Field(description="Of the stored file, in hexadecimal.")
    bytes: int | None
    duration_ms: int | None
    started_at: datetime | None
    ended_at: datetime | None
    verified_at: datetime | None

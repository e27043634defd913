"""Leads as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from campaigns.numbers import NumberKind
from campaigns.states import LeadState
from dialer.web.fields import Cells, In, Line, Masked, Number, Out, PageQuery


class LeadQuery(PageQuery):
    """Which leads."""

    state: LeadState | None = None


class NewLead(In):
    """A lead added by hand."""

    number: Number
    name: Annotated[Line, Field(max_length=200)] = ""
    fields: Cells = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=-100, le=100)] = 0


class Lead(Out):
    """A lead as it is now."""

    id: int
    project_id: UUID
    import_id: UUID | None
    number: Masked
    other_numbers: list[Masked] = Field(description="Tried after the number, in this order.")
    reference: str | None = Field(description="The client's own key for the person.")
    kind: NumberKind | None = Field(description="Of the number; null: not looked at yet.")
    zone: str | None = Field(description="Time zone of the number; null: not known.")
    province: str | None = Field(description="Where the number is at home.")
    city: str | None
    carrier: str | None = Field(description="As the list says (a ported number), else as the number says.")
    name: str
    fields: dict[str, Any] = Field(description="The other columns of the client's list.")
    state: LeadState
    priority: int
    next_at: datetime | None = Field(description="Not to be called before; null: at any time.")
    attempts: int
    last_outcome: str | None
    last_attempt_at: datetime | None
    disposition: str | None
    callback_agent_id: UUID | None
    created_at: datetime


class LeadCounts(Out):
    """How far a project's list is."""

    counts: dict[str, int] = Field(description="Leads by state, and `dialable_now`.")

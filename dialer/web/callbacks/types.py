"""Callbacks as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from dialer.web.fields import BigId, In, Masked, Out, PageQuery


class CallbackQuery(PageQuery):
    """Which callbacks."""

    project_id: UUID | None = None
    agent_id: UUID | None = Field(default=None, description="Those this agent promised.")
    shared: bool = Field(default=False, description="Only those that any agent of the project may keep.")


class Callback(Out):
    """A callback that is to be made."""

    lead_id: int
    project_id: UUID
    project: str
    number: Masked
    name: str
    agent_id: UUID | None = Field(description="Who promised it; null: any agent of the project may keep it.")
    agent_number: str | None
    agent_name: str | None
    due_at: datetime
    kept: bool = Field(
        description="Somebody gets the project's calls who may keep it; false: give it to somebody else."
    )


class Reassign(In):
    """Which callbacks go to whom."""

    lead_ids: Annotated[list[BigId], Field(min_length=1, max_length=1000)] | None = None
    from_agent_id: UUID | None = Field(default=None, description="All that this agent promised.")
    project_id: UUID | None = Field(default=None, description="With `from_agent_id`: in this project only.")
    to_agent_id: UUID | None = Field(default=None, description="Null: any agent of the project.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.lead_ids is None) == (self.from_agent_id is None):
            raise ValueError("name either lead_ids or from_agent_id")
        if self.project_id is not None and self.from_agent_id is None:
            raise ValueError("project_id goes with from_agent_id")
        return self


class Reassigned(Out):
    """What was done."""

    moved: int = Field(description="Callbacks that have another keeper now.")

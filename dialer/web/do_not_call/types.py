"""Do-not-call entries as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Line, Number, Out


class NewEntries(In):
    """Numbers nobody may call."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)]
    reason: Annotated[Line, Field(min_length=1)]


class OneNumber(In):
    """A number. In the body, so that it is in no log."""

    number: Number


class RemoveEntry(In):
    """A number that may be called again, and why."""

    number: Number
    reason: Annotated[Line, Field(min_length=1)]


class Added(Out):
    """What was entered."""

    added: int = Field(description="How many were new.")


class Listed(Out):
    """Whether a number is on the list."""

    listed: bool


class Entry(Out):
    """An entry. Numbers are masked for everybody: the list belongs to no project, so the strictest setting holds."""

    number: str
    reason: str
    source: str
    user_id: UUID | None
    created_at: datetime

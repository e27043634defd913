"""Do-not-call entries as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Line, Moment, Number, Out


class WhomIn(In):
    """Whom an entry holds for: everybody, unless a client or a project is named."""

    client: Annotated[Line, Field(min_length=1)] | None = None
    project_id: UUID | None = None


class ReachIn(WhomIn):
    """Whom an entry holds for, and until when."""

    expires_at: Moment | None = Field(default=None, description="Left out: for good.")


class NewEntries(ReachIn):
    """Numbers that may not be called."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)]
    reason: Annotated[Line, Field(min_length=1)]
    guarded_until: Moment | None = Field(
        default=None, description="Before it the entry is not lifted, unless consent came after it."
    )


class NewArea(ReachIn):
    """A prefix or region that may not be called."""

    kind: Literal["prefix", "region"]
    value: Annotated[Line, Field(min_length=1, max_length=100, description="+8610, or a region as leads name it.")]
    reason: Annotated[Line, Field(min_length=1)]


class OneArea(WhomIn):
    """The entry of a prefix or region that is lifted, and why. Entries for others stay."""

    kind: Literal["prefix", "region"]
    value: Annotated[Line, Field(min_length=1, max_length=100)]
    reason: Annotated[Line, Field(min_length=1)]


class Area(Out):
    """A prefix or region that may not be called."""

    kind: str
    value: str
    client: str | None
    project_id: UUID | None
    reason: str
    expires_at: datetime | None
    user_id: UUID | None
    created_at: datetime


class Areas(Out):
    """All of them."""

    areas: list[Area]


class LoadedList(Out):
    """A list of others, loaded as a whole: a national registry, an insurer's refusals."""

    category: str
    loaded_at: datetime
    entries: int
    source: str


class Lists(Out):
    """All of them."""

    lists: list[LoadedList]


class OneNumber(In):
    """A number. In the body, so that it is in no log."""

    number: Number


class RemoveEntry(WhomIn):
    """The entry of a number that is lifted, and why. Entries for others stay."""

    number: Number
    reason: Annotated[Line, Field(min_length=1)]


class BringBack(In):
    """Numbers that a project may call again, and why."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=1000)]
    reason: Annotated[Line, Field(min_length=1)]


class BroughtBack(Out):
    """What came of it."""

    leads: int = Field(description="How many are back; those that are on a list, or had not left by one, are not.")


class Added(Out):
    """What was entered."""

    added: int = Field(description="How many are new, or hold for longer than before.")


class Standing(Out):
    """An entry that holds for a number."""

    what: str = Field(description="`own`, the list it belongs to, or the prefix or region it is for.")
    client: str | None = Field(description="null: for every client.")
    project_id: UUID | None
    reason: str
    created_at: datetime
    expires_at: datetime | None = Field(description="null: for good.")
    guarded_until: datetime | None


class Listed(Out):
    """Whether a number must not be called, by anybody or by some."""

    listed: bool
    entries: list[Standing] = Field(description="Those that hold now, the oldest first.")


class Entry(Out):
    """An entry. Numbers are masked for everybody: the list belongs to no project, so the strictest setting holds."""

    number: str
    reason: str
    source: str
    user_id: UUID | None
    created_at: datetime
    client: str | None = Field(description="null: for every client.")
    project_id: UUID | None
    category: str = Field(description="`own`, or the list it belongs to.")
    expires_at: datetime | None
    guarded_until: datetime | None

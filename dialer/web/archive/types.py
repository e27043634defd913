"""The archive as the API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import Day, In, Line, Out

Label = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,16}$")]
CopyName = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,16}-[0-9]{1,2}$", description="Label and number, W000001-2.")]
Medium = Literal["cd", "dvd", "dvd_dl", "bd", "bd_dl", "folder"]
Said = Annotated[Line, Field(min_length=1)]


class Volume(Out):
    """A volume of recordings."""

    label: str
    project_id: UUID
    expiry_year: int
    medium: str
    state: str
    recordings: int
    bytes: int
    copies_wanted: int
    created_at: datetime
    created_by: str
    image_bytes: int | None
    image_sha256: str | None
    sealed_at: datetime | None
    reason: str | None


class Copy(Out):
    """A disc, or an image in a folder."""

    name: str
    label: str
    number: int
    state: str
    kind: str | None
    location: str | None
    custodian: str
    place: str
    lent_to: str | None
    written_at: datetime | None
    verified_at: datetime | None


class CopyEvent(Out):
    """Something that happened to a copy."""

    at: datetime
    by: str
    event: str
    detail: dict[str, Any]


class CopyHistory(Out):
    """A copy and its life."""

    disc: Copy
    events: list[CopyEvent]


class PlanQuery(In):
    """What the next run would be given."""

    medium: Medium = "bd"
    wait_days: int = Field(default=30, ge=-1, le=3650)


class Planned(Out):
    """A volume that would be built now."""

    project_id: UUID
    expiry_year: int
    medium: str
    recordings: int
    bytes: int


class KeepAt(In):
    """Who looks after a copy, and where it lies."""

    custodian: Said
    place: Said


class Lend(In):
    """Who has it now."""

    to: Said


class Why(In):
    """The reason; it is kept."""

    reason: Said


class DueQuery(In):
    """The plan of a day, and the seed of its sample."""

    day: Day | None = None
    seed: int = Field(default=0, ge=0, le=2**31)


class Release(In):
    """Lets go of store files that verified copies have."""

    older_than_days: int = Field(default=30, ge=0, le=36_600)
    most: int = Field(default=500, ge=1, le=2000)
    free_bytes: int | None = Field(default=None, ge=1, description="Stop when so much is free; the oldest go first.")


class Released(Out):
    """What went; ask again while `more`."""

    recordings: int
    bytes: int
    more: bool
    stuck: int = Field(
        description="Files that could not be removed: see the store's rights and disk; the next run tries again."
    )


class Space(Out):
    """How full the store is, how long it lasts, and what may leave it."""

    store_free_bytes: int
    store_bytes: int = Field(description="Of recordings that lie in the store.")
    archived_bytes: int = Field(description="Of recordings that only discs have.")
    not_on_volumes_bytes: int = Field(description="Of recordings in the store that no volume has.")
    bytes_a_day: int = Field(description="Of the calls of the last day.")
    days_left: float | None = Field(description="Until the floor, at the last day's use.")
    releasable_bytes: int = Field(
        description="Of files that sealed volumes have; each is looked at again before it goes."
    )
    days_left_after_release: float | None


class Restored(Out):
    """A call that is in the store again (or was)."""

    restored: int
    there: int

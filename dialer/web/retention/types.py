"""Retention as the API shows it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import Day, In, Line, Out

Basis = Literal["call", "contract_end", "product_end", "dispute_end"]
PolicyName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
Reason = Annotated[Line, Field(min_length=1)]


class PeriodIn(In):
    """A time from a business date on, with the norm that asks for it."""

    from_: Basis = Field(alias="from")
    years: int = Field(default=0, ge=0, le=100)
    months: int = Field(default=0, ge=0, le=1200)
    days: int = Field(default=0, ge=0, le=36_600)
    source: Line = ""


class NewPolicy(In):
    """A version of a policy. docs/retention.md says what the fields mean."""

    name: PolicyName
    minima: list[PeriodIn] = Field(min_length=1, max_length=20)
    maximum: PeriodIn | None = None
    delete: Literal["after_minima", "at_maximum"] = "after_minima"
    copies: int = Field(default=2, ge=2, le=9)
    lock: Literal["governance", "compliance"] = Field(
        default="governance", description="How copies in buckets are locked until their day."
    )


class Policy(Out):
    """A stored version of a policy."""

    name: str
    version: int
    body: dict[str, object]
    created_at: datetime
    created_by: str


class UsePolicy(In):
    """Which policy a project follows, in its newest version."""

    policy: PolicyName


class BusinessDate(In):
    """When a contract, a product or a dispute ended: of the project, or of one call."""

    basis: Literal["contract_end", "product_end", "dispute_end"]
    day: Day
    call_id: UUID | None = None


class NewHold(In):
    """Nothing of the project (or of one call) is removed until it is lifted."""

    project_id: UUID
    call_id: UUID | None = None
    reason: Reason


class LiftHold(In):
    """Why it is lifted."""

    reason: Reason


class Hold(Out):
    """A legal hold."""

    id: UUID
    project_id: UUID
    call_id: UUID | None
    reason: str
    placed_at: datetime
    placed_by: str
    lifted_at: datetime | None
    lifted_by: str | None
    lift_reason: str | None


class PreviewQuery(In):
    """The day that is asked about; none: today, in the project's zone."""

    day: Day | None = None


class Fate(Out):
    """What would become of a recording, and why."""

    call_id: UUID
    state: str
    day: date
    expired: bool
    why: str
    sentence: str
    expires: date | None
    bytes: int


class Preview(Out):
    """What would go on a day: how many for each reason, and the first of those that would go."""

    day: date
    recordings: dict[str, int]
    bytes_going: int
    going: list[Fate]


class Expire(In):
    """Deletes what is over today. `most` bounds one request."""

    most: int = Field(default=500, ge=1, le=2000)


class Expired(Out):
    """What went; ask again while `more`."""

    recordings: int
    bytes: int
    more: bool
    stuck: int = Field(
        description="Files that could not be removed: see the store's rights and disk; the next run tries again."
    )


class DestroyKeys(In):
    """Why; it is kept."""

    reason: Line = Field(min_length=1)


class KeysDestroyed(Out):
    """What opens no more."""

    recordings: int = Field(description="Whose key was still there.")
    volumes: int = Field(description="Whose sealed recordings no disc gives back without the ledger.")


class Removal(Out):
    """The proof of a file that left the store."""

    call_id: UUID
    kind: str
    path: str
    sha256: str
    bytes: int
    policy: str | None
    policy_version: int | None
    verdict: str
    at: datetime
    by: str
    file_gone_at: datetime | None
    withdrawn_at: datetime | None

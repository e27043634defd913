"""Caller numbers as the API shows and takes them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Base64Bytes, Field

from campaigns.caller_numbers import number as campaign_numbers
from dialer.web.fields import E164, In, Line, Moment, Name, Note, Out, PageQuery, Purpose, Rate, Zone

State = Literal["active", "resting", "retired"]
Region = Annotated[Line, Field(max_length=100)]
Purposes = Annotated[list[Purpose], Field(max_length=100, description="What it may be shown for; none: everything.")]


class CallerNumberQuery(PageQuery):
    """Which caller numbers."""

    trunk_id: UUID | None = None
    state: State | None = None


class NewCallerNumber(In):
    """A caller number to be."""

    number: E164
    trunk_id: UUID
    owner: Name | None = None
    purposes: Purposes | None = None
    province: Annotated[Region | None, Field(description="Where it is at home; left out: as the tables say.")] = None
    city: Region | None = None


class CallerNumberChange(In):
    """Rest, retire or use again, and why."""

    state: State
    why: Line
    rests_until: Annotated[Moment | None, Field(description="A rest ends by itself then; left out: by somebody.")] = (
        None
    )


class CallerNumberFacts(In):
    """What is known of it; what is left out or null stays."""

    owner: Annotated[str | None, Field(max_length=200)] = None
    purposes: Purposes | None = None
    province: Region | None = None
    city: Region | None = None
    zone: Annotated[Zone | None, Field(description="Whose days its daily cap counts.")] = None


class CallerNumberLimits(In):
    """What a number may carry; null or left out: no limit of its own."""

    max_channels: Annotated[int, Field(ge=1, le=100_000, description="Most calls at once.")] | None = None
    max_cps: Rate | None = None
    max_per_hour: Annotated[int, Field(ge=1, le=1_000_000, description="Most new calls in any hour.")] | None = None
    max_per_day: Annotated[int, Field(ge=1, le=10_000_000, description="Most calls in a day of its zone.")] | None = (
        None
    )
    cool_after_calls: (
        Annotated[int, Field(ge=1, le=1_000_000, description="After so many calls it is not shown ...")] | None
    ) = None
    cool_min: Annotated[int, Field(ge=1, le=44_640, description="... for so many minutes.")] | None = None


class Days(Out):
    """From the first day to the last."""

    first: date
    last: date


class CallerNumber(Out):
    """A number that may be shown. Ours, so never masked."""

    id: UUID
    number: str
    trunk_id: UUID
    state: State
    why: str | None = Field(description="Why it rests or was retired; of an active one, why it rested before.")
    rests_until: datetime | None
    owner: str
    purposes: list[str]
    province: str
    city: str
    zone: str
    certified: list[Days] | None = Field(description="The days its certificates cover; null: it never had one.")
    max_channels: int | None
    max_cps: Decimal | None
    max_per_hour: int | None
    max_per_day: int | None
    cool_after_calls: int | None
    cool_min: int | None
    used_on: date | None = Field(
        description="With a daily cap or a cool-down: the day of its zone on which it was last shown ..."
    )
    used_today: int = Field(description="... and in how many calls on that day.")
    cools_until: datetime | None
    alarm: str | None = Field(description="What is wrong with it; null: nothing that is known.")
    label: str = Field(description="What a label service says of it; empty: nothing.")
    label_marks: int


def shown(one: campaign_numbers.CallerNumber) -> CallerNumber:
    """A caller number of `campaigns`."""
    fields = {name: getattr(one, name) for name in CallerNumber.model_fields if name not in {"purposes", "certified"}}
    certified = one.certified
    return CallerNumber(
        **fields,
        purposes=sorted(one.purposes),
        certified=None
        if certified is None
        else [Days(first=first, last=end - timedelta(days=1)) for first, end in certified],
    )


class NewCertificate(In):
    """A certificate: its file, and the first and the last day it covers."""

    file_name: Name
    valid_from: date
    valid_until: date
    content: Annotated[Base64Bytes, Field(description="The file in Base64, at most 5 MB of it.")]


class Withdrawal(In):
    """Why a certificate counts no more."""

    why: Annotated[Line, Field(min_length=1)]


class Certificate(Out):
    """A certificate; one that was withdrawn stays with the reason."""

    id: UUID
    caller_number_id: UUID
    file_name: str
    sha256: str
    size: int = Field(description="Bytes.")
    valid_from: date
    valid_until: date
    user_id: UUID | None
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_why: str | None


class Certificates(Out):
    """Those of a number, the one that lasts longest first."""

    items: list[Certificate]


class NewComplaint(In):
    """A complaint about calls from a number of ours, by whom it came, and what is known of it."""

    source: Literal["carrier", "regulator", "customer"]
    note: Note = ""


class Drift(Out):
    """One measure against the other numbers of the trunk: shares of calls, and the interval of their difference."""

    measure: Literal["answers", "short", "complaints"]
    own: float
    others: float = Field(description="What the others' calls of the same projects make one expect.")
    low: float
    high: float
    calls: int
    alarm: bool


class Health(Out):
    """How a number does against the others of its trunk, by the calls of the last 48 hours since it last rested."""

    caller_number_id: UUID
    calls: int
    answered: int
    short: int
    complaints: int
    drifts: list[Drift] = Field(description="Empty: too few calls to judge.")
    alarm: str | None

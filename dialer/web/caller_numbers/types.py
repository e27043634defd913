"""Caller numbers as the API shows and takes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import E164, In, Line, Out, PageQuery, Rate

State = Literal["active", "resting", "retired"]


class CallerNumberQuery(PageQuery):
    """Which caller numbers."""

    trunk_id: UUID | None = None
    state: State | None = None


class NewCallerNumber(In):
    """A caller number to be."""

    number: E164
    trunk_id: UUID


class CallerNumberChange(In):
    """Rest, retire or use again, and why."""

    state: State
    why: Line


class CallerNumberLimits(In):
    """What a number may carry; null or left out: no limit of its own."""

    max_channels: Annotated[int, Field(ge=1, le=100_000, description="Most calls at once.")] | None = None
    max_cps: Rate | None = None
    max_per_hour: Annotated[int, Field(ge=1, le=1_000_000, description="Most new calls in any hour.")] | None = None


class CallerNumber(Out):
    """A number that may be shown. Ours, so never masked."""

    id: UUID
    number: str
    trunk_id: UUID
    state: State
    why: str | None
    max_channels: int | None
    max_cps: Decimal | None
    max_per_hour: int | None

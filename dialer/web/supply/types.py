"""Supplies as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from campaigns.supply import ordering
from campaigns.supply.ordering import MAX_WEIGHT, OrderBy
from dialer.web.fields import In, Line, Out

Condition = Annotated[
    dict[str, Any] | None,
    Field(
        description="all, any, not, or field (custom: a column of the client's), op, value; null: everybody. See docs/supply.md."
    ),
]


class Ordering(In):
    """In what order fresh leads go."""

    by: OrderBy = OrderBy.OLDEST
    column: Annotated[Line, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="For the orders by field: a column of the client's list."
    )
    descending: bool = False
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="For random.")
    retry_first: bool = Field(default=False, description="Who comes again goes before who was never called.")
    weights: Annotated[dict[UUID, Annotated[int, Field(ge=1, le=MAX_WEIGHT)]], Field(max_length=500)] = Field(
        default_factory=dict, description="Import → how many of its leads go while one of another list goes."
    )

    def made(self) -> ordering.Ordering:
        """The same for `campaigns`."""
        return ordering.Ordering(**self.model_dump())


class NewSupply(In):
    """What a project dials."""

    filter: Condition = None
    ordering: Ordering = Field(default_factory=Ordering)
    alarm_hours: Annotated[int, Field(ge=0, le=1000)] = Field(default=4, description="Alarm when the data lasts less.")


class ShownOrdering(Out):
    """In what order fresh leads go."""

    by: OrderBy
    column: str | None
    descending: bool
    seed: int
    retry_first: bool
    weights: dict[UUID, int]


class Supply(Out):
    """What a project dials."""

    filter: Any
    ordering: ShownOrdering
    alarm_hours: int
    applied: bool = Field(description="All leads are judged by it; an engine does that, beside the dialling.")
    applied_at: datetime | None
    judged: int = Field(description="Leads that were moved so far, of `to_judge`.")
    to_judge: int
    matching: int | None = Field(description="Leads within the filter, when they were judged.")
    error: str | None = Field(description="Why they cannot be judged: change the filter or the order.")


class FilterToCount(In):
    """A filter that is not used yet."""

    filter: Condition = None


class Counted(Out):
    """What it would take in."""

    matching: int
    leads: int = Field(description="Leads of the project that may still be called.")


class Lasting(Out):
    """How long the data lasts."""

    fresh: int = Field(description="Within the filter and never called.")
    coming_back: int
    per_hour: str = Field(description="First calls an hour, since `since`.")
    since: datetime
    hours: str | None = Field(description="Null while nothing is dialled.")
    alarm_hours: int
    alarm: bool

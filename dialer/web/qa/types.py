"""Samples as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from dialer.db.qa_samples import Stratum
from dialer.web.fields import In, Line, Moment, Name, Out
from dialer.web.recordings.types import Ms, Tag

Seed = Annotated[Line, Field(min_length=1, max_length=100)]


class Population(In):
    """Which stored recordings a sample is drawn from."""

    project_id: UUID | None = None
    agent_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None
    disposition: Line | None = None
    tag: Tag | None = None
    fault: Line | None = None
    shortest_ms: Ms | None = None
    longest_ms: Ms | None = None
    customer_spoke: bool | None = None
    dead_air_from_ms: Ms | None = None
    talk_over_from_ms: Ms | None = None
    monologue_from_ms: Ms | None = None
    first_word_from_ms: Ms | None = None


class NewSample(In):
    """What to draw."""

    name: Name
    size: int = Field(ge=1, le=10_000)
    seed: Seed | None = Field(
        default=None, description="The same seed and population give the same sample. Left out: one is made, and told."
    )
    strata: list[Stratum] = Field(
        default_factory=list, max_length=4, description="Divide by these, in proportion; none: simple random sampling."
    )
    population: Population


class Sample(Out):
    """A sample and how far it has come."""

    id: UUID
    name: str
    seed: str
    strata: list[str]
    wanted: dict[str, Any] = Field(description="The population that was asked for.")
    population: int
    size: int
    heard: int
    gone: int = Field(description="Not heard, and on discs only or deleted by now: passed over until they are back.")
    created_at: datetime
    created_by: UUID | None


class Item(Out):
    """A recording of a sample. Its chance to be in it was `drawn` of `population`, those of its stratum."""

    recording_id: UUID
    position: int
    stratum: str
    drawn: int
    population: int
    claimed_by: UUID | None
    claimed_at: datetime | None
    heard_by: UUID | None
    heard_at: datetime | None

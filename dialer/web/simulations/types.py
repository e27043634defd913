"""Simulations as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, model_validator

from dialer.web.fields import In, Out

Share = Annotated[float, Field(ge=0.01, le=1)]


class Dialled(StrEnum):
    """The modes in which the pacer dials for agents."""

    PROGRESSIVE = "progressive"
    RATIO = "ratio"
    PREDICTIVE = "predictive"


class PictureFormat(StrEnum):
    """How a picture comes."""

    SVG = "svg"
    PNG = "png"


class PictureQuery(In):
    """Which picture."""

    format: PictureFormat = PictureFormat.SVG


class AssumedTimes(In):
    """Instead of the project's own history: how calls answer, and how long agents take."""

    answer: Share = Field(description="Share of the calls that are answered.")
    talk_s: Annotated[float, Field(ge=1, le=3600)] = Field(description="Mean seconds of a conversation.")
    wrap_up_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(description="Mean seconds of wrap-up.")


class NewSimulation(In):
    """A day to be played. What is left out is the project's: cap, ratio, wait for an agent."""

    agents: Annotated[int, Field(ge=1, le=500)]
    hours: Annotated[float, Field(ge=0.1, le=24)] = 8.0
    days: Annotated[int, Field(ge=2, le=50)] = Field(
        default=6, description="How many are played, each with another seed."
    )
    modes: Annotated[list[Dialled], Field(min_length=1, max_length=3)] = Field(
        default=[Dialled.PROGRESSIVE, Dialled.RATIO, Dialled.PREDICTIVE], description="Compared with each other."
    )
    ratio: Annotated[float, Field(ge=1, le=10)] | None = Field(default=None, description="In mode `ratio`.")
    cap: Annotated[float, Field(ge=0, le=1)] | None = Field(default=None, description="Abandoned of the answered.")
    leads: Annotated[int, Field(ge=1, le=100_000_000)] | None = Field(
        default=None, description="Numbers on the list: how long do they last?"
    )
    assumed: AssumedTimes | None = Field(
        default=None, description="Left out: the project's own times are played again."
    )
    history_days: Annotated[int, Field(ge=1, le=366)] = Field(
        default=7, description="How far back its own times are taken from."
    )

    @model_validator(mode="after")
    def _each_mode_once(self) -> NewSimulation:
        if len(set(self.modes)) != len(self.modes):
            raise ValueError("a mode is named twice")
        return self


class Interval(Out):
    """Where a day's figure lies: the mean, and so much more or less on 19 days of 20."""

    mean: float
    spread: float


class Forecast(Out):
    """What the days have in common."""

    utilisation_percent: Interval
    talk_min_per_hour: Interval = Field(description="Of an agent.")
    abandoned_percent: Interval
    answered_per_hour: Interval
    placed_per_hour: Interval
    data_lasts_h: Interval | None = Field(description="null: it was not said how many leads there are.")
    over_cap: float = Field(description="Share of the days that end over the cap.")


class PlayedDay(Out):
    """One day."""

    abandoned_percent: float
    utilisation_percent: float


class Quarter(Out):
    """A quarter of an hour of the mean day."""

    hour: float = Field(description="Of the day, when it begins.")
    utilisation_percent: float
    abandoned_percent: float = Field(description="Of those answered in it.")


class ModeResult(Out):
    """What a mode comes to."""

    mode: Dialled
    sentence: str
    forecast: Forecast
    days: list[PlayedDay]
    curve: list[Quarter]


class Simulation(Out):
    """A simulation as it stands."""

    id: UUID
    project_id: UUID
    state: Literal["running", "done", "failed", "canceled"]
    wanted: NewSimulation
    done: int = Field(description="Days played, of `total`.")
    total: int
    modes: list[ModeResult] | None = Field(description="When it is done.")
    error_id: str | None
    user_id: UUID | None
    created_at: datetime
    ended_at: datetime | None

"""How a project is paced, as the API shows it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.web.fields import In, Moment, Out


class PaceQuery(In):
    """Of late, or around a moment."""

    at: Moment | None = Field(default=None, description="Show the decisions around this moment; left out: the newest.")


class PaceDecision(Out):
    """What the pacer decided in one second."""

    at: datetime
    place: int = Field(description="Calls placed in that second.")
    limited_by: str = Field(description="What kept it from being more.")
    reason: str
    ready: float = Field(description="Agents ready for this project; one who serves several counts in parts.")
    agents: int
    in_flight: int
    waiting: int = Field(description="Answered customers who waited for an agent.")
    because: dict[str, float] = Field(description="What else the policy weighed, by name.")


class PaceFigure(Out):
    """Of the decisions of a minute."""

    least: float
    mean: float
    most: float


class PaceMinute(Out):
    """What the pacer decided in one minute."""

    began_at: datetime = Field(description="The first decision in it.")
    decisions: int
    placed: int = Field(description="Calls placed in that minute.")
    limits: dict[str, int] = Field(description="Limit → how many of the decisions.")
    figures: dict[str, PaceFigure] = Field(description="Agents, calls in flight and what else was weighed, by name.")


class Pace(Out):
    """How a project is paced."""

    why: str = Field(description="What limits it now, in one word.")
    sentence: str
    limits: dict[str, int] = Field(
        description="Limit → how many decisions: of the last hour's seconds, or with `at` of the minutes that are shown."
    )
    recent: list[PaceDecision] = Field(
        description="The newest decisions, or those within half a minute of `at` if they are not older than an hour; oldest first."
    )
    minutes: list[PaceMinute] = Field(description="With `at`: half an hour around it, kept for 14 days; else empty.")

"""Explanations as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from dialer.web.fields import Out


class Why(Out):
    """What the engine says about why it dials, or does not."""

    dialling: bool | None = Field(description="null: the question does not apply.")
    why: str = Field(description="The gate or limit, in one word.")
    sentence: str
    detail: dict[str, Any] = Field(description="What else the engine looked at.")


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


class Pace(Out):
    """How a project is paced."""

    why: str = Field(description="What limits it now, in one word.")
    sentence: str
    limits: dict[str, int] = Field(description="Of the last hour's seconds with a decision: limit → how many.")
    recent: list[PaceDecision] = Field(description="The newest decisions, oldest first.")

"""Explanations as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from dialer.web.fields import In, Moment, Number, Out


class Why(Out):
    """What the engine says about why it dials, or does not."""

    dialling: bool | None = Field(description="null: the question does not apply.")
    why: str = Field(description="The gate or limit, in one word.")
    sentence: str
    detail: dict[str, Any] = Field(description="What else the engine looked at.")


class Gate(Out):
    """One gate, in the order in which they are asked."""

    gate: str
    passed: bool | None = Field(description="null: it cannot be told, of a past moment.")
    reason: str
    until: datetime | None = Field(description="When it may think otherwise.")
    rule: str | None = Field(description="pack@version#line, when it is a line of a rule pack.")
    says_en: str
    says_zh: str
    source: str = Field(description="Who demands it.")
    url: str


class NumberWhy(Out):
    """A number of a project before every gate."""

    at: datetime
    lead_id: int | None = Field(description="null: the number is no lead of the project.")
    why: str = Field(description="The first gate that is shut; `open`: none is.")
    sentence: str
    gates: list[Gate]


class AtQuery(In):
    """Which moment."""

    at: Moment | None = Field(default=None, description="A past moment; left out: now.")


class AskNumber(In):
    """Which number, when. In the body, so that it is in no log."""

    number: Number
    at: Moment | None = None


class Held(Out):
    """So many leads, for one reason."""

    reason: str
    leads: int
    until: datetime | None


class ListWhy(Out):
    """A project's list by what holds each lead back."""

    at: datetime
    sentence: str
    leads: int
    held: list[Held]
    pacing: str | None = Field(description="What limited the pacer last; null: the engine is away.")

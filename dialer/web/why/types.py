"""Explanations as the API shows them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dialer.web.fields import Out


class Why(Out):
    """What the engine says about why it dials, or does not."""

    dialling: bool | None = Field(description="null: the question does not apply.")
    why: str = Field(description="The gate or limit, in one word.")
    sentence: str
    detail: dict[str, Any] = Field(description="What else the engine looked at.")

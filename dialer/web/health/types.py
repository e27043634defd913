"""Health as the API shows it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dialer.web.fields import Out

Word = Literal["up", "away"]


class Health(Out):
    """What this process can reach."""

    status: Literal["ok", "degraded"] = Field(
        description="`degraded`: the database is away; conversations go on, nothing new is dialled."
    )
    database: Word
    redis: Word | Literal["not_used"] = Field(description="Redis may be away at any time; nothing depends on it.")
    version: str

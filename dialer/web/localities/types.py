"""Localities as the API shows them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.web.fields import In, Number, Out


class LocalityTable(Out):
    """A version of a prefix table."""

    id: int
    name: str
    version: str
    blocks: int = Field(description="Seven-digit prefixes in it.")
    in_use: bool
    loaded_at: datetime


class NumberQuery(In):
    """Which number."""

    number: Number


class Locality(Out):
    """Where a number is at home; unknown parts are empty."""

    country: str
    province: str
    city: str
    carrier: str
    zone: str = Field(description="Empty: the number does not tell one zone.")

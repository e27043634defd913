"""Trunks: lines to carriers, and how each of them wants numbers to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from campaigns.states import Pai, Privacy


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """A line to a carrier, as one node's Asterisk knows it. `max_cps`: new calls a second.

    `number_format`: how the carrier wants the number that is called. What follows `enabled` is how it wants ours; `caller_numbers.identity` reads it.
    """

    id: UUID
    name: str
    node: str
    endpoint: str
    max_channels: int
    max_cps: Decimal
    number_format: str
    enabled: bool
    caller_format: str = "e164"
    caller_prefix: str = ""
    pai: Pai = Pai.FROM
    privacy: Privacy = Privacy.NONE
    domain: str = ""
    diversion: str | None = None


def trunk(row: Mapping[str, Any] | asyncpg.Record) -> Trunk:
    """A row of `trunks`, or the same as a JSON object."""
    return Trunk(
        id=UUID(str(row["id"])),
        name=row["name"],
        node=row["node"],
        endpoint=row["endpoint"],
        max_channels=row["max_channels"],
        max_cps=Decimal(str(row["max_cps"])),
        number_format=row["number_format"],
        enabled=row["enabled"],
        caller_format=row["caller_format"],
        caller_prefix=row["caller_prefix"],
        pai=Pai(row["pai"]),
        privacy=Privacy(row["privacy"]),
        domain=row["domain"],
        diversion=row["diversion"],
    )

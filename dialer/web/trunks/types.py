"""Trunks as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Name, Out, Rate

NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The Asterisk node it hangs on.")]
Endpoint = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the PJSIP endpoint on the node.")
]
Channels = Annotated[int, Field(ge=0, le=100_000, description="Most calls at once.")]
Format = Literal["e164", "national", "digits"]


class NewTrunk(In):
    """A trunk to be."""

    name: Name
    node: NodeName
    endpoint: Endpoint
    max_channels: Channels
    max_cps: Rate
    number_format: Format = "e164"
    enabled: bool = True


class TrunkChange(In):
    """What is to change; what is left out or null stays."""

    name: Name | None = None
    endpoint: Endpoint | None = None
    max_channels: Channels | None = None
    max_cps: Rate | None = None
    number_format: Format | None = None
    enabled: bool | None = None


class Trunk(Out):
    """A trunk."""

    id: UUID
    name: str
    node: str
    endpoint: str
    max_channels: int
    max_cps: Decimal
    number_format: str
    enabled: bool


class Node(Out):
    """An Asterisk node and the engine that owns it."""

    name: str
    alive: bool = Field(description="Whether an engine holds its lease now.")
    lease_until: datetime | None
    started_at: datetime | None


class NodeLimits(In):
    """What a node may carry; null or left out: no limit of its own."""

    max_channels: Annotated[int, Field(ge=1, le=100_000, description="Most customers' calls at once.")] | None = None
    max_cps: Rate | None = None


class NodeLimitsOut(Out):
    """What a node may carry."""

    name: str
    max_channels: int | None
    max_cps: Decimal | None


class Nodes(Out):
    """All nodes."""

    items: list[Node]

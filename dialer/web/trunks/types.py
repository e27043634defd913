"""Trunks as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import E164, In, Name, Out, Rate

NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The Asterisk node it hangs on.")]
Endpoint = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the PJSIP endpoint on the node.")
]
Channels = Annotated[int, Field(ge=0, le=100_000, description="Most calls at once.")]
Format = Literal["e164", "national", "digits"]
Pai = Literal["off", "from", "e164"]
Privacy = Literal["none", "id"]
Prefix = Annotated[
    str, Field(pattern=r"^[0-9]{0,8}$", description="Digits before our number, in `national` and `digits`.")
]
Domain = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)?$")]
_DOMAIN = "Host beside our number in P-Asserted-Identity and Diversion (sip URI); empty: tel URIs, in E.164 form."
_CALLER_FORMAT = "How the carrier wants our number; left out: as the called one."
_PAI = "P-Asserted-Identity: none, our number as in From, or in E.164 form."
_PRIVACY = "`id`: the callee does not see our number; From names nobody, the carrier has it in P-Asserted-Identity."


class NewTrunk(In):
    """A trunk to be."""

    name: Name
    node: NodeName
    endpoint: Endpoint
    max_channels: Channels
    max_cps: Rate
    number_format: Format = "e164"
    enabled: bool = True
    caller_format: Annotated[Format | None, Field(description=_CALLER_FORMAT)] = None
    caller_prefix: Prefix = ""
    pai: Annotated[Pai, Field(description=_PAI)] = "from"
    privacy: Annotated[Privacy, Field(description=_PRIVACY)] = "none"
    domain: Annotated[Domain, Field(description=_DOMAIN)] = ""


class TrunkChange(In):
    """What is to change; what is left out or null stays."""

    name: Name | None = None
    endpoint: Endpoint | None = None
    max_channels: Channels | None = None
    max_cps: Rate | None = None
    number_format: Format | None = None
    enabled: bool | None = None
    caller_format: Format | None = None
    caller_prefix: Prefix | None = None
    pai: Annotated[Pai | None, Field(description=_PAI)] = None
    privacy: Annotated[Privacy | None, Field(description=_PRIVACY)] = None
    domain: Annotated[Domain | None, Field(description=_DOMAIN)] = None
    diversion: Annotated[
        E164 | Literal[""] | None,
        Field(
            description="A caller number of this trunk for the Diversion header, in the form of From; empty: no such header."
        ),
    ] = None


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
    caller_format: str
    caller_prefix: str
    pai: str
    privacy: str
    domain: str
    diversion: str | None


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

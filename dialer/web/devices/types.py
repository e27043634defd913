"""Devices as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Out
from dialer.web.trunks.types import NodeName

Kind = Literal["softphone", "webrtc"]


class NewDevice(In):
    """A device to be."""

    node: NodeName
    kind: Kind = "softphone"


class Device(Out):
    """A device that may register."""

    id: UUID
    agent_id: UUID
    node: str
    kind: Kind
    username: str
    rotated_at: datetime


class DeviceSecret(Out):
    """A device and its new secret."""

    device: Device
    secret: str = Field(description="What the softphone logs in with. Shown this once; only a digest is kept.")
    realm: str
    provisioned: bool = Field(
        description="Whether Asterisk knows it now. False: the engine is away and will tell Asterisk when it is back."
    )

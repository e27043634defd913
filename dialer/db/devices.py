"""Devices, as an engine needs them: the softphones its Asterisk must know. Only the digest (HA1) of a secret is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection
from dialer.domain.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A softphone or WebRTC phone that may register at a node's Asterisk."""

    id: UUID
    agent_id: UUID
    node: str
    kind: str
    username: str
    digest: str
    rotated_at: datetime
    removed_at: datetime | None


_GET = "select * from devices where id = $1"


async def get_device(conn: Connection, device_id: UUID) -> Device:
    """One device, removed ones too. Errors: NotFound `device_unknown`."""
    row = await conn.fetchrow(_GET, device_id)
    if row is None:
        raise NotFound("device_unknown", "There is no such device.")
    return Device(**row)


_PRESENT = """
select * from devices
where removed_at is null and node = $1
order by username
"""


async def devices_of_node(conn: Connection, node: str) -> list[Device]:
    """Everything that may register at a node: what its Asterisk must know."""
    return [Device(**row) for row in await conn.fetch(_PRESENT, node)]

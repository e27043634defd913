"""Devices: the softphones and browser phones agents register with. Each has its own generated secret."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

import structlog

from dialer.db import seats
from dialer.domain.commands import ProvisionDevice, RemoveDevice
from dialer.domain.errors import NotFound, Unavailable
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import run
from dialer.web.devices.types import Device, DeviceSecret, NewDevice
from dialer.web.fields import Page, PageQuery, after_cursor, page_of
from dialer.web.roles import STAFF, STAFF_READERS, TELEPHONY

log = structlog.get_logger(__name__)
KEEPERS = TELEPHONY | STAFF - {Role.TEAM_LEADER}


@operation("GET", "/agents/{agent_id}/devices", roles=STAFF_READERS, summary="An agent's devices")
async def list_devices(call: Call, agent_id: UUID, query: PageQuery) -> Page[Device]:
    """Those that have not been removed."""
    after = after_cursor(query.cursor, UUID)
    async with call.connection() as conn:
        if await seats.agent(conn, agent_id) is None:
            raise NotFound("agent_unknown", "There is no such agent.")
        rows = await seats.devices(conn, agent_id, after=after[0] if after else None, limit=query.limit + 1)
    return page_of(rows, query.limit, _shown, lambda row: [row.id])


@operation("POST", "/agents/{agent_id}/devices", roles=KEEPERS, summary="Give an agent a device", status=201)
async def create_device(call: Call, agent_id: UUID, body: NewDevice) -> DeviceSecret:
    """It can register as soon as this is answered."""
    username = "wh-" + secrets.token_hex(6)
    secret = secrets.token_urlsafe(24)
    async with call.transaction() as conn:
        if await seats.agent(conn, agent_id) is None:
            raise NotFound("agent_unknown", "There is no such agent.")
        row = await seats.create_device(
            conn,
            agent_id=agent_id,
            node=body.node,
            kind=body.kind,
            username=username,
            digest=_digest(call, username, secret),
            now=call.now,
        )
        await call.audit(
            conn,
            "device_created",
            "device",
            row.id,
            agent_id=agent_id,
            node=body.node,
            kind=body.kind,
            username=username,
        )
    return await _with_secret(call, row, secret)


@operation("POST", "/devices/{device_id}/rotate", roles=KEEPERS, summary="Give a device a new secret")
async def rotate_device(call: Call, device_id: UUID) -> DeviceSecret:
    """The old one is worth nothing at the next registration."""
    secret = secrets.token_urlsafe(24)
    async with call.transaction() as conn:
        present = await seats.device(conn, device_id)
        row = present and await seats.rotate_device(
            conn, device_id, digest=_digest(call, present.username, secret), now=call.now
        )
        if row is None:
            raise NotFound("device_unknown", "There is no such device.")
        await call.audit(conn, "device_secret_rotated", "device", device_id, username=row.username)
    return await _with_secret(call, row, secret)


@operation("DELETE", "/devices/{device_id}", roles=KEEPERS, summary="Remove a device")
async def remove_device(call: Call, device_id: UUID) -> None:
    """It may not register any more: at once, or as soon as its engine is back and compares the node's devices with the list."""
    async with call.transaction() as conn:
        row = await seats.remove_device(conn, device_id, now=call.now)
        if row is None:
            raise NotFound("device_unknown", "There is no such device.")
        await call.audit(conn, "device_removed", "device", device_id, username=row.username)
    try:
        await run(call, RemoveDevice(device_id=device_id))
    except Unavailable as error:
        log.warning("a removed device waits for its engine", device_id=str(device_id), error_id=error.error_id)


async def _with_secret(call: Call, row: seats.DeviceRow, secret: str) -> DeviceSecret:
    try:
        await run(call, ProvisionDevice(device_id=row.id))
        provisioned = True
    except Unavailable as error:
        log.warning("a device waits for its engine", device_id=str(row.id), error_id=error.error_id)
        provisioned = False
    return DeviceSecret(device=_shown(row), secret=secret, realm=call.deps.settings.realm, provisioned=provisioned)


def _shown(row: seats.DeviceRow) -> Device:
    return Device.model_validate({name: getattr(row, name) for name in Device.model_fields})


def _digest(call: Call, username: str, secret: str) -> str:
    """HA1 of RFC 7616 with MD5, which is what SIP softphones speak."""
    return hashlib.md5(f"{username}:{call.deps.settings.realm}:{secret}".encode(), usedforsecurity=False).hexdigest()

"""Agents' devices, told to Asterisk: one by one when they change, all of them when we meet an Asterisk."""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import UUID

import asyncpg
import structlog

from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import AmiError
from dialer.asterisk.provisioning import DeviceConfig, DeviceKind, is_stored, list_devices, put_device, remove_device
from dialer.db import devices as devices_db
from dialer.db.devices import Device
from dialer.db.pool import LOST
from dialer.domain.errors import Conflict, NotFound, WaihuError

_log = structlog.get_logger(__name__)


class Provision:
    """Asterisk keeps what it is told by itself, over restarts and without us."""

    def __init__(self, node: str, pool: asyncpg.Pool, ami: AmiClient) -> None:
        self._node = node
        self._pool = pool
        self._ami = ami

    async def put(self, device_id: UUID) -> None:
        """This device may register with its present digest. Errors: NotFound `device_unknown`, Conflict `device_elsewhere`."""
        device = await self._device(device_id)
        if device.removed_at is not None:
            raise NotFound("device_unknown", "This device was removed.")
        await self._put(device)

    async def remove(self, device_id: UUID) -> None:
        """This device may not register any more."""
        device = await self._device(device_id)
        await remove_device(self._ami, device.username)

    async def all(self) -> None:
        """Every device of the node that Asterisk lacks or has with an old digest; those it must not know are removed."""
        try:
            async with self._pool.acquire(timeout=5) as conn:
                devices = await devices_db.devices_of_node(conn, self._node)
            known = await list_devices(self._ami)
            for device in devices:
                await self._one(device.username, self._renew(device))
            for username in known - {device.username for device in devices}:
                await self._one(username, remove_device(self._ami, username))
        except LOST as error:
            _log.warning("Devices could not be read", reason=type(error).__name__)
        except AmiError as error:
            _log.warning("Asterisk could not be asked for its devices", error_id=error.error_id)

    async def _one(self, username: str, work: Awaitable[None]) -> None:
        try:
            await work
        except (AmiError, WaihuError) as error:
            _log.warning("A device could not be told to Asterisk", device=username, error_id=error.error_id)

    async def _renew(self, device: Device) -> None:
        if not await is_stored(self._ami, _config(device)):
            await self._put(device)

    async def _device(self, device_id: UUID) -> Device:
        async with self._pool.acquire(timeout=5) as conn:
            device = await devices_db.get_device(conn, device_id)
        if device.node != self._node:
            raise Conflict("device_elsewhere", f"This device belongs to the node {device.node}.", node=device.node)
        return device

    async def _put(self, device: Device) -> None:
        await put_device(self._ami, _config(device))


def _config(device: Device) -> DeviceConfig:
    return DeviceConfig(username=device.username, digest=device.digest, kind=DeviceKind(device.kind))

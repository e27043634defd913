"""Agents' SIP devices inside Asterisk: put, removed and listed while it runs, without a reload.

A device lives in Asterisk's own database (`asterisk-conf/sorcery.conf`), so it can register while PostgreSQL is down and after a restart
of Asterisk. The dialplan writes it (`[waihu-devices]`), so the AMI account needs no right to write; what was written is read back before
these functions return. Why so: docs/adr/0005-agent-provisioning.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.message import Event, Response
from dialer.domain.errors import BadRequest, Unavailable

REALM = "waihu"
_USERNAME = re.compile(r"[a-z0-9-]{3,64}\Z")
_DIGEST = re.compile(r"[0-9a-f]{32}\Z")
_SECRET_BYTES = 24
_DEADLINE_S = 3.0
_PAUSE_S = 0.005


class DeviceKind(StrEnum):
    SOFTPHONE = "softphone"
    WEBRTC = "webrtc"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """A device as Asterisk must know it. `digest` is `ha1(username, secret)`; the secret itself is kept nowhere."""

    username: str
    digest: str
    kind: DeviceKind = DeviceKind.SOFTPHONE


class Asterisk(Protocol):
    """What is needed of an AMI connection; AmiClient and AmiConnection both are."""

    async def send(self, action: Action, *, deadline_s: float | None = None) -> Response: ...

    async def fetch(self, action: Action, *, deadline_s: float | None = None) -> tuple[Event, ...]: ...


class DeviceInvalid(BadRequest):
    """A user name or digest that cannot be a device's."""

    def __init__(self, message: str) -> None:
        super().__init__("device_invalid", message)


class DeviceNotStored(Unavailable):
    """Asterisk did not take the device, or did not let it go, in time. The same call may be made again."""

    def __init__(self, username: str) -> None:
        super().__init__(
            "device_not_stored",
            f"Asterisk did not store the change of device {username}; try again.",
            username=username,
        )


def new_secret() -> str:
    """A secret for one device: 192 bits, letters and digits that fit into any softphone."""
    return secrets.token_urlsafe(_SECRET_BYTES).replace("-", "x").replace("_", "y")


def ha1(username: str, secret: str) -> str:
    """The digest kept instead of the secret: md5(username:realm:secret), RFC 2617 3.2.2.2 (what softphones and JsSIP speak)."""
    return hashlib.md5(f"{username}:{REALM}:{secret}".encode(), usedforsecurity=False).hexdigest()


async def put_device(asterisk: Asterisk, device: DeviceConfig) -> None:
    """Create the device or replace it (a new digest turns the old secret off). When this returns, a REGISTER is accepted.

    Errors: DeviceInvalid; DeviceNotStored; those of the AMI client.
    """
    _check(device.username)
    if _DIGEST.match(device.digest) is None:
        raise DeviceInvalid("A device's digest is 32 hex digits: ha1(username, secret).")
    variables = {"WAIHU_DEVICE": device.username, "WAIHU_DIGEST": device.digest, "WAIHU_KIND": device.kind.value}
    await asterisk.send(_run("put", variables))
    async with _deadline(device.username):
        while not await is_stored(asterisk, device):  # noqa: ASYNC110  # Asterisk's database tells nobody
            await asyncio.sleep(_PAUSE_S)


async def remove_device(asterisk: Asterisk, username: str) -> None:
    """Remove the device; harmless when there is none. A call it is in goes on; it can neither register nor be called any more.

    Errors: DeviceInvalid; DeviceNotStored; those of the AMI client.
    """
    _check(username)
    await asterisk.send(_run("remove", {"WAIHU_DEVICE": username}))
    async with _deadline(username):
        while any([await _read(asterisk, kind, username) for kind in ("endpoint", "aor", "auth")]):  # noqa: ASYNC110  # as above
            await asyncio.sleep(_PAUSE_S)


async def list_devices(asterisk: Asterisk) -> frozenset[str]:
    """User names of all devices that Asterisk knows."""
    found = await asterisk.fetch(
        Action(name="DBGetTree", headers=(("Family", "waihu/endpoint"),), empty_list_message="Database entry not found")
    )
    return frozenset(event.get("Key").rpartition("/")[2] for event in found)


def _check(username: str) -> None:
    if _USERNAME.match(username) is None:
        raise DeviceInvalid("A device's user name is 3 to 64 characters of a-z, 0-9 and -.")


def _run(what: str, variables: dict[str, str]) -> Action:
    return actions.originate(
        channel=f"Local/{what}@waihu-devices/n",
        channel_id=f"device-{secrets.token_hex(8)}",
        other_channel_id=f"device-{secrets.token_hex(8)}",
        context="waihu-devices",
        ring_timeout_s=_DEADLINE_S,
        caller_id="",
        variables=variables,
    )


async def is_stored(asterisk: Asterisk, device: DeviceConfig) -> bool:
    """Does Asterisk have the device as it is, with this digest? Errors: those of the AMI client."""
    # The endpoint is written last, but an earlier one may be there: the digest tells.
    if f"MD5:{device.digest}" not in await _read(asterisk, "auth", device.username):
        return False
    endpoint = await _read(asterisk, "endpoint", device.username)
    return bool(endpoint) and ('"webrtc"' in endpoint) == (device.kind is DeviceKind.WEBRTC)


async def _read(asterisk: Asterisk, kind: str, username: str) -> str:
    found = await asterisk.fetch(actions.db_get(f"waihu/{kind}", username))
    return found[0].get("Val") if found else ""


@asynccontextmanager
async def _deadline(username: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            yield
    except TimeoutError:
        raise DeviceNotStored(username) from None

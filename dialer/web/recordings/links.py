"""Short-lived signed links to one recording, for players that cannot log in: the link is the right, for one listener, and for minutes.

    <recording, user, end, media, why, in JSON and base64url>.<HMAC-SHA256 of it>

The key is derived from the master key of recordings, so every process that opens recordings knows it, and no link outlives it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast
from uuid import UUID

import orjson

from dialer.domain.errors import NotAllowed

PURPOSE = "links to recordings"
LONGEST_TOKEN = 2000
Media = Literal["opus", "mp3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Who may hear what, until when, and why."""

    recording_id: UUID
    user_id: UUID
    until: datetime
    media: Media
    why: str


def signed(link: Link, key: bytes) -> str:
    """The link as a word for a URL."""
    payload = orjson.dumps([link.recording_id.hex, link.user_id.hex, int(link.until.timestamp()), link.media, link.why])
    return f"{_encoded(payload)}.{_encoded(_mac(payload, key))}"


def opened(token: str, key: bytes, *, now: datetime) -> Link:
    """What a word says. Errors: NotAllowed `link_invalid`, `link_expired`."""
    try:
        payload, mac = (_decoded(part) for part in token.split("."))
    except (ValueError, binascii.Error):
        raise _invalid() from None
    if not hmac.compare_digest(mac, _mac(payload, key)):
        raise _invalid()
    recording, user, until, media, why = orjson.loads(payload)
    link = Link(
        recording_id=UUID(recording),
        user_id=UUID(user),
        until=datetime.fromtimestamp(until, UTC),
        media=cast("Media", media),
        why=why,
    )
    if now >= link.until:
        raise NotAllowed("link_expired", "This link is over: ask for a new one.")
    return link


def _invalid() -> NotAllowed:
    return NotAllowed("link_invalid", "This link is not valid: ask for a new one.")


def _mac(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Identifiers that can be recognised anywhere: in a row, on an Asterisk channel, in a file name.

An attempt's id is a UUID version 7 (RFC 9562): it sorts by time, which gives the attempts table its month partitions.
Asterisk takes channel ids from us, so after any restart a channel says by its own name whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

CALL_PREFIX = "call-"
SEAT_PREFIX = "seat-"


def uuid7(at: datetime, randomness: bytes) -> UUID:
    """A UUID version 7 for the moment `at`, from 10 random bytes.

    Errors: ValueError when `at` is naive or `randomness` is not 10 bytes long.
    """
    if at.tzinfo is None or len(randomness) != 10:
        raise ValueError("uuid7 needs an aware time and 10 random bytes")
    milliseconds = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    tail = int.from_bytes(randomness, "big")
    value = milliseconds << 80 | 0x7 << 76 | (tail >> 62 & 0xFFF) << 64 | 0b10 << 62 | tail & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=value)


def uuid7_time(value: UUID) -> datetime:
    """The moment in a UUID version 7, to the millisecond."""
    return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatId:
    """What the channel id of an agent's seat says: whose it is, and which of their seats (one per login)."""

    agent_id: UUID
    nonce: str


def call_channel(attempt_id: UUID) -> str:
    """The channel id of the customer's side of an attempt."""
    return CALL_PREFIX + attempt_id.hex


def seat_channel(agent_id: UUID, nonce: str) -> str:
    """The channel id of an agent's nailed-up seat; `nonce` is 8 hex digits, new for each seat."""
    return f"{SEAT_PREFIX}{agent_id.hex}-{nonce}"


def attempt_of_channel(channel_id: str) -> UUID | None:
    """The attempt a channel belongs to, or None when it is not a customer's channel of ours."""
    return _hex_uuid(channel_id.removeprefix(CALL_PREFIX)) if channel_id.startswith(CALL_PREFIX) else None


def seat_of_channel(channel_id: str) -> SeatId | None:
    """The seat a channel is, or None when it is not a seat of ours."""
    if not channel_id.startswith(SEAT_PREFIX):
        return None
    agent, _, nonce = channel_id.removeprefix(SEAT_PREFIX).partition("-")
    agent_id = _hex_uuid(agent)
    return SeatId(agent_id=agent_id, nonce=nonce) if agent_id and len(nonce) == 8 else None


def _hex_uuid(text: str) -> UUID | None:
    try:
        return UUID(hex=text) if len(text) == 32 else None
    except ValueError:
        return None

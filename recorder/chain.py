"""The hash chain over the ledger of recordings, and its signed heads: pure.

hash(n) = SHA-256(hash(n-1), bytes of entry n); hash(0) is 32 zeros. An entry that is changed, taken out or put in breaks the chain at its place.
A head is a hash with its position and time, signed with Ed25519 (RFC 8032) by a key derived from the master key: whoever keeps one head off
this machine can prove that nothing before it was rewritten, the end of the chain cut off included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recorder.keyring import Keyring

BEGINNING: Final = bytes(32)
"""The hash before the first entry."""

_PURPOSE: Final = "heads of the ledger"
_HEAD: Final = b"waihu ledger head 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed position of the chain."""

    position: int
    hash: bytes
    at: datetime
    master: str
    public_key: bytes
    signature: bytes


def chained(before: bytes, entries: Iterable[bytes]) -> list[bytes]:
    """Hashes of entries that follow `before`."""
    hashes = []
    for entry in entries:
        before = sha256(before + entry).digest()
        hashes.append(before)
    return hashes


def first_break(before: bytes, entries: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Index of the first entry (its bytes, its hash) that does not follow; None where all do."""
    digest = sha256
    for index, (entry, expected) in enumerate(entries):
        before = digest(before + entry).digest()
        if before != expected:
            return index
    return None


def sign(ring: Keyring, *, position: int, hash_: bytes, at: datetime) -> Head:
    """Sign a head with the key of the current master key."""
    key = _signing_key(ring, ring.current)
    return Head(
        position=position, hash=hash_, at=at, master=ring.current, public_key=key.public_key().public_bytes_raw(),
        signature=key.sign(_signed(position, hash_, at)),
    )  # fmt: skip


def holds(head: Head, public_key: bytes) -> bool:
    """Whether a head was signed by the owner of a public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            head.signature, _signed(head.position, head.hash, head.at)
        )
    except (InvalidSignature, ValueError):
        return False
    return head.public_key == public_key


def public_key_of(ring: Keyring, master: str) -> bytes | None:
    """The public key for a master key; None where that one is not here."""
    return _signing_key(ring, master).public_key().public_bytes_raw() if master in ring.keys else None


def _signing_key(ring: Keyring, master: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(ring.derive(_PURPOSE, master=master))


def _signed(position: int, hash_: bytes, at: datetime) -> bytes:
    return b"|".join((_HEAD, str(position).encode(), hash_.hex().encode(), at.isoformat().encode()))

"""A tree of keys from which single leaves can be taken away for good: pure.

Each leaf's key follows from the root's, a bit of its path at a time (the pseudorandom function of Goldreich, Goldwasser and Micali, 1986, with HMAC-SHA-256).
To take a leaf away, the nodes above it are thrown away and the ones beside its path are kept: every other leaf still follows from one of those, this
one from none (a puncturable pseudorandom function). So what opens all recordings of all discs is a handful of nodes, made once, and what was erased on a
disc that nobody can change is erased all the same.

A leaf is a recording's place on a volume: 48 bits of the volume's id, 18 bits of its number there. Those of a volume lie side by side, and a volume's
recordings end in the order of their numbers, so few nodes are kept for what has gone.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

SECRET_BYTES: Final = 32
VOLUME_BITS: Final = 48
NUMBER_BITS: Final = 18
LEAF_BITS: Final = VOLUME_BITS + NUMBER_BITS
_RECORD: Final = struct.Struct(f">B9s{SECRET_BYTES}s")
_VOLUME_MASK: Final = (1 << VOLUME_BITS) - 1


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A node: how many bits lie above it, and which they are."""

    depth: int
    path: int


def of_volume(volume_id: UUID) -> Place:
    """The node above all leaves of a volume."""
    return Place(VOLUME_BITS, volume_id.int & _VOLUME_MASK)


def of_recording(volume_id: UUID, number: int) -> Place:
    """The leaf of a recording on a volume."""
    if not 0 <= number < 1 << NUMBER_BITS:
        raise ValueError(f"a volume has no place {number}")
    return Place(LEAF_BITS, (volume_id.int & _VOLUME_MASK) << NUMBER_BITS | number)


@dataclass(frozen=True, slots=True)
class KeyTree:
    """The nodes that are left, none of them below another."""

    nodes: Mapping[Place, bytes] = field(repr=False)

    @classmethod
    def grown(cls, secret: bytes) -> KeyTree:
        """A whole tree."""
        return cls({Place(0, 0): secret})

    def secret(self, place: Place) -> bytes | None:
        """The key at a place; None where it, or something below it, was taken away."""
        above = _above(self.nodes, place)
        if above is None:
            return None
        secret = self.nodes[above]
        for depth in range(above.depth + 1, place.depth + 1):
            secret = _child(secret, place.path >> place.depth - depth & 1)
        return secret

    def leaves(self, volume_id: UUID, count: int) -> Iterator[bytes | None]:
        """The keys of a volume's first `count` recordings, in their order; None for what was taken away."""
        volume = of_volume(volume_id)
        among = [node for node in self.nodes if _is_below(node, volume)]
        yield from self._below(volume, self.secret(volume), count, among)

    def _below(self, place: Place, secret: bytes | None, count: int, among: list[Place]) -> Iterator[bytes | None]:
        """Of the first `count` leaves below a place whose key is this; without a key, of what `among` the nodes lies there."""
        if count <= 0:
            return
        if secret is None and place in self.nodes:
            secret = self.nodes[place]
        if place.depth == LEAF_BITS or (secret is None and not among):
            yield from (secret for _ in range(count))
            return
        half = 1 << LEAF_BITS - place.depth - 1
        for bit, some in ((0, min(count, half)), (1, count - half)):
            below = Place(place.depth + 1, place.path << 1 | bit)
            of_child = None if secret is None else _child(secret, bit)
            yield from self._below(below, of_child, some, [node for node in among if _is_below(node, below)])

    def without(self, places: Iterable[Place]) -> KeyTree:
        """The tree with these places, and all below them, taken away."""
        nodes = dict(self.nodes)
        for place in places:
            above = _above(nodes, place)
            if above is None:
                for one in [node for node in nodes if _is_below(node, place)]:
                    del nodes[one]
                continue
            secret = nodes.pop(above)
            for depth in range(above.depth + 1, place.depth + 1):
                path = place.path >> place.depth - depth
                nodes[Place(depth, path ^ 1)] = _child(secret, path & 1 ^ 1)
                secret = _child(secret, path & 1)
        return KeyTree(nodes)

    def to_bytes(self) -> bytes:
        """The tree as it is kept, before it is wrapped."""
        return b"".join(
            _RECORD.pack(place.depth, place.path.to_bytes(9), secret) for place, secret in sorted(self.nodes.items())
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> KeyTree:
        """What `to_bytes` gave. Raises ValueError."""
        if len(content) % _RECORD.size:
            raise ValueError("cut off")
        nodes = {}
        for depth, path, secret in _RECORD.iter_unpack(content):
            place = Place(depth, int.from_bytes(path))
            if place.depth > LEAF_BITS or place.path >> place.depth:
                raise ValueError("no such place")
            nodes[place] = secret
        return cls(nodes)


def _child(secret: bytes, bit: int) -> bytes:
    return hmac.digest(secret, b"\1" if bit else b"\0", "sha256")


def _above(nodes: Mapping[Place, bytes], place: Place) -> Place | None:
    """The node that is this place or lies above it."""
    for depth in range(place.depth, -1, -1):
        above = Place(depth, place.path >> place.depth - depth)
        if above in nodes:
            return above
    return None


def _is_below(node: Place, place: Place) -> bool:
    return node.depth >= place.depth and node.path >> node.depth - place.depth == place.path

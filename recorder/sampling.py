"""Samples of recordings that anybody can draw again, with the chance that each recording had to be in it. Pure.

Every recording gets a place by the SHA-256 of the seed and its id; the first places are the sample. So a sample does not depend on the order in which
the population was read, and the chances are exact: drawn of all, in its stratum (simple random sampling without replacement; stratified by proportional
allocation: Cochran, Sampling Techniques, chapters 2 and 5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A recording of a sample. Its chance to be in it was `drawn` of `population`, those of its stratum."""

    recording_id: UUID
    stratum: str
    drawn: int
    population: int

    @property
    def probability(self) -> Fraction:
        """Of being in the sample."""
        return Fraction(self.drawn, self.population)


def draw(population: Iterable[tuple[UUID, str]], *, size: int, seed: str) -> list[Drawn]:
    """A sample of `size` recordings (all where there are fewer) from (id, stratum); one stratum for all is simple random sampling.

    In the order in which they should be listened to: whoever stops early has a random sample still, of the whole or of each stratum.
    """
    strata: dict[str, list[UUID]] = defaultdict(list)
    for recording_id, stratum in population:
        strata[stratum].append(recording_id)
    share = allocate({name: len(ids) for name, ids in strata.items()}, size)
    places: list[tuple[bytes, Drawn]] = []
    for name, ids in strata.items():
        placed = sorted((_place(seed, one), one) for one in ids)[: share[name]]
        places += [
            (place, Drawn(recording_id=one, stratum=name, drawn=share[name], population=len(ids)))
            for place, one in placed
        ]
    return [drawn for _, drawn in sorted(places, key=lambda pair: pair[0])]


def allocate(sizes: Mapping[str, int], size: int) -> dict[str, int]:
    """How many to draw from each stratum: in proportion (largest remainders), one at least from each as long as there is one for each."""
    total = sum(sizes.values())
    size = min(size, total)
    if size == total:
        return dict(sizes)
    least = 1 if size >= len(sizes) else 0
    exact = {name: Fraction(size * count, total) for name, count in sizes.items()}
    share = {name: min(sizes[name], max(least, int(exact[name]))) for name in sizes}
    by_need = sorted(sizes, key=lambda name: (share[name] - exact[name], name))
    while sum(share.values()) < size:
        for name in by_need:
            if sum(share.values()) == size:
                break
            share[name] += share[name] < sizes[name]
    while sum(share.values()) > size:
        for name in reversed(by_need):
            if sum(share.values()) == size:
                break
            share[name] -= share[name] > least
    return share


def _place(seed: str, recording_id: UUID) -> bytes:
    return sha256(seed.encode() + b"\0" + recording_id.bytes).digest()

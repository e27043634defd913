"""Which recordings go together on which volume: pure.

A volume holds one project and one year of expiry, so that a disc can be handed to its client, and destroyed as a whole when its year is over.
The oldest come first; a volume that would not be full waits, unless its oldest recording has waited long enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from recorder.archive.media import Medium, room_bytes, weight_bytes

NO_YEAR: Final = 9999
"""The expiry year of what has no end yet."""

FULL_PERCENT: Final = 95
MOST_RECORDINGS: Final = 200_000
"""On a volume: catalogue and directories stay quick to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A verified recording in the store that is on no volume. `row_bytes`: of its row as a volume holds it, with the lead and all its columns."""

    recording_id: UUID
    project_id: UUID
    expiry_year: int
    day: date
    bytes: int
    row_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Recordings of one volume, oldest first."""

    project_id: UUID
    expiry_year: int
    medium: Medium
    recordings: tuple[UUID, ...]
    bytes: int


def plan(
    candidates: Iterable[Candidate], medium: Medium, *, today: date, wait: timedelta, room: int | None = None
) -> list[Batch]:
    """Volumes to build now. `wait`: how old a recording may become before a volume is built that is not full.

    `room` (bytes): instead of the medium's. A recording that is larger than a whole volume is left out: it stays in the store.
    """
    room = room_bytes(medium) if room is None else room
    groups: dict[tuple[UUID, int], list[Candidate]] = {}
    for one in candidates:
        groups.setdefault((one.project_id, one.expiry_year), []).append(one)
    batches: list[Batch] = []
    for (project_id, year), group in sorted(groups.items()):
        group.sort(key=lambda one: (one.day, one.recording_id))
        for chosen, weight in _fill(group, room):
            full = weight * 100 >= room * FULL_PERCENT or len(chosen) == MOST_RECORDINGS
            if full or chosen[0].day <= today - wait:
                batches.append(
                    Batch(
                        project_id=project_id,
                        expiry_year=year,
                        medium=medium,
                        recordings=tuple(one.recording_id for one in chosen),
                        bytes=sum(one.bytes for one in chosen),
                    )
                )
    return batches


def _fill(group: list[Candidate], room: int) -> list[tuple[list[Candidate], int]]:
    """In order, each volume as full as what comes next allows; order is worth more than the last per cent."""
    volumes: list[tuple[list[Candidate], int]] = []
    chosen: list[Candidate] = []
    weight = 0
    for one in group:
        own = weight_bytes(one.bytes, one.row_bytes)
        if own > room:
            continue
        if weight + own > room or len(chosen) == MOST_RECORDINGS:
            volumes.append((chosen, weight))
            chosen, weight = [], 0
        chosen.append(one)
        weight += own
    if chosen:
        volumes.append((chosen, weight))
    return volumes

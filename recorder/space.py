"""Room for recordings: how much there is, how long it lasts, and whether dialling has to stop before recording fails."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_AGAIN_ABOVE: Final = 10
"""Per cent above the floor that must be free before dialling may start again: no flutter at the edge."""

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Free bytes below which nothing new is dialled."""

    spool_bytes: int
    store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What dialling looks at. `days_left` is None until a day's use is known; `reason` is empty unless blocked."""

    blocked: bool
    reason: str
    spool_free_bytes: int
    store_free_bytes: int
    days_left: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Free bytes of the two places; None where it cannot be told."""

    spool_bytes: int | None
    store_bytes: int | None


def read_free(spool: Path, store: Path) -> Free:
    """Ask the file systems."""
    return Free(spool_bytes=free_bytes(spool), store_bytes=free_bytes(store))


def free_bytes(path: Path) -> int | None:
    """Of the file system that a place lies on; None where it cannot be told. Blocking, and for ever where a mount hangs."""
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def judge_room(
    free: Free, floors: Floors, *, was_blocked: bool = False, refused: str = "", bytes_a_day: float | None = None
) -> Room:
    """Decide from free bytes, the last verdict and the last refusal of the store (empty: it takes bytes)."""
    above = _AGAIN_ABOVE if was_blocked else 0
    spool, store = free.spool_bytes, free.store_bytes
    if spool is None:
        reason = "spool_missing"
    elif store is None:
        reason = "store_unwritable"
    elif spool < floors.spool_bytes * (100 + above) // 100:
        reason = "spool_full"
    elif store < floors.store_bytes * (100 + above) // 100:
        reason = "store_full"
    else:
        reason = refused
    days_left = None if store is None or not bytes_a_day else max(0.0, store - floors.store_bytes) / bytes_a_day
    return Room(
        blocked=bool(reason),
        reason=reason,
        spool_free_bytes=spool or 0,
        store_free_bytes=store or 0,
        days_left=days_left,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermarks:
    """In days that the store lasts at the last day's use: below `low_days` files that discs have are let go, until `enough_days`. 0: never."""

    low_days: float
    enough_days: float


def bytes_to_release(room: Room, marks: Watermarks, floors: Floors, *, bytes_a_day: float | None) -> int:
    """Bytes that have to leave the store now: up to the upper watermark, and in any case out of a block by a full store."""
    wanted = 0.0
    if marks.low_days and bytes_a_day and room.days_left is not None and room.days_left < marks.low_days:
        wanted = (marks.enough_days - room.days_left) * bytes_a_day
    if marks.low_days and room.reason == "store_full":
        wanted = max(wanted, floors.store_bytes * (100 + _AGAIN_ABOVE) / 100 - room.store_free_bytes)
    return max(0, math.ceil(wanted))


def measure(spool: Path, store: Path, *, floors: Floors) -> Room:
    """Look at the two places now, with no memory and no database."""
    return judge_room(read_free(spool, store), floors)


def daily_bytes(total_bytes: int, over_s: float) -> float | None:
    """Bytes a day from a sum over some seconds."""
    return total_bytes * _DAY_S / over_s if total_bytes and over_s > 0 else None

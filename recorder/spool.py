"""The spool directory: which legs lie there, whether they are finished, and setting calls aside. Blocking; called in a thread."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

from recorder.errors import BadLeg, SpoolInUse
from recorder.paths import PART_SUFFIX, POISONED_DIR, attempt_of, leg_paths
from recorder.wav import HEADER_BYTES, read_layout


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSeen:
    """A leg at one look. Two equal looks some time apart: it does not grow. `closed`: its header is complete."""

    size: int
    modified_ns: int
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LegsSeen:
    """Both legs of a call at one look; None where the file is not there."""

    customer: LegSeen | None
    agent: LegSeen | None

    @property
    def any(self) -> bool:
        """At least one file is there."""
        return self.customer is not None or self.agent is not None

    @property
    def finished(self) -> bool:
        """Both are there and closed: nothing more will come."""
        return self.customer is not None and self.agent is not None and self.customer.closed and self.agent.closed


def look(spool: Path, attempt_id: UUID) -> LegsSeen:
    """Look at the legs of a call."""
    customer, agent = leg_paths(spool, attempt_id)
    return LegsSeen(customer=_look_at(customer), agent=_look_at(agent))


def _look_at(path: Path) -> LegSeen | None:
    try:
        with path.open("rb") as leg:
            status = os.fstat(leg.fileno())
            head = leg.read(HEADER_BYTES)
    except FileNotFoundError:
        return None
    try:
        layout = read_layout(head, status.st_size)
        closed = layout is not None and layout.closed
    except BadLeg:
        closed = True  # it will not get better by waiting
    return LegSeen(size=status.st_size, modified_ns=status.st_mtime_ns, closed=closed)


class SpoolWalk:
    """Walks the spool round and round, some files at a time, so that no round is long and none is left out."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._names: Iterator[str] | None = None

    def next_attempts(self, count: int) -> tuple[set[UUID], bool]:
        """Attempts of the next `count` files, and whether the end of the directory was reached."""
        if self._names is None:
            self._names = _names(self._spool)
        names = list(islice(self._names, count))
        ended = len(names) < count
        if ended:
            self._names = None
        return {attempt_id for name in names if (attempt_id := attempt_of(name)) is not None}, ended


def _names(spool: Path) -> Iterator[str]:
    with os.scandir(spool) as entries:
        for entry in entries:
            yield entry.name


def remove_leg(path: Path) -> None:
    """Let a leg go. Not synced: a leg that comes back after a power cut is found, and let go again."""
    path.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames and removals in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(spool: Path, attempt_id: UUID, *, reason: str, message: str) -> None:
    """Move what there is of a call into the poisoned folder, beside its reason. Done twice it changes nothing."""
    folder = spool / POISONED_DIR
    folder.mkdir(exist_ok=True)
    note = folder / f"{attempt_id.hex}.json"
    part = note.with_suffix(PART_SUFFIX)
    try:
        part.write_text(json.dumps({"attempt_id": str(attempt_id), "reason": reason, "message": message}) + "\n")
        part.replace(note)
    except OSError:
        part.unlink(missing_ok=True)  # the disk may be full: the ledger has the reason too, and moving needs no room
    for leg in leg_paths(spool, attempt_id):
        if leg.exists():
            leg.replace(folder / leg.name)
    sync_directory(folder)
    sync_directory(spool)


def bring_back(spool: Path, attempt_id: UUID) -> int:
    """Move the legs of a call that was set aside back into the spool; returns how many there were."""
    folder = spool / POISONED_DIR
    moved = 0
    for leg in leg_paths(folder, attempt_id):
        if leg.exists():
            leg.replace(spool / leg.name)
            moved += 1
    (folder / f"{attempt_id.hex}.json").unlink(missing_ok=True)
    return moved


def lock_spool(spool: Path) -> int:
    """Take the spool for this process; the lock goes with the process, however it ends. Returns the open file.

    Raises SpoolInUse.
    """
    handle = os.open(
        spool, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    )  # the folder itself: a full disk takes no new file
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise SpoolInUse(
            "spool_in_use", "Another recorder works on this spool; stop it, or give this one a spool of its own."
        ) from None
    return handle

"""Files leave the store, with proof: decide and write the row (one transaction), remove the file, note that it is gone.

Killed between the two, the next run goes on from the row; when a hold has come meanwhile, it takes the row back instead. A file that cannot be
removed is left to the next run and stands in no other's way; where a hundred cannot, it is the store that is wrong, and nothing more is decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from recorder import file_keys, keeping, releasable
from recorder.errors import FileGone, StoreRefused
from recorder.keeping import Kept
from recorder.paths import locate
from recorder.spool import sync_directory

if TYPE_CHECKING:
    from asyncpg import Record

    from recorder.ledger import Conn, LedgerPool

BATCH: Final = 100
Audit = Callable[["Conn", "Kind", Sequence[Kept]], Awaitable[None]]
"""Writes who did it, in the transaction that decides."""

Erase = Callable[["Conn", Sequence[UUID]], Awaitable[None]]
"""Makes recordings unreadable on volumes, durably; may be asked again for the same."""

Decide = Callable[["Conn", Sequence[Kept]], Awaitable[list[tuple[Kept, str]]]]


class Kind(StrEnum):
    """Why a file left the store."""

    RELEASED = "released"  # the archive has it
    EXPIRED = "expired"  # its retention is over


class Step(StrEnum):
    """Steps that are done, in their order."""

    DECIDED = "decided"
    ERASED = "erased"  # on every volume
    FILE_REMOVED = "file_removed"
    NOTED = "noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What a run did."""

    recordings: int
    bytes: int
    more: bool = False  # of what may go: the run ended because it had done what it was to
    stuck: frozenset[UUID] = frozenset()  # recordings whose file could not be removed: the next run tries again


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """Takes files out of a store. `audit` writes who did it, in the transaction that decides; `on_step` hears of each step (tests that kill).

    `erase`: without it files are only released; what has expired and is not yet gone waits for who has it.
    """

    pool: LedgerPool
    store_dir: Path
    clock: Callable[[], datetime]
    by: str
    audit: Audit
    erase: Erase | None = None
    on_step: Callable[[Step], None] = lambda _step: None

    async def expire(self, ids: Sequence[UUID], day: date) -> Removed:
        """Delete those of the recordings whose retention is over on a day: looked at again, under the lock."""

        async def decide(_conn: Conn, kept: Sequence[Kept]) -> list[tuple[Kept, str]]:
            verdicts = [(one, one.verdict(day)) for one in kept]
            return [(one, verdict.sentence) for one, verdict in verdicts if verdict.expired]

        return await self._remove(Kind.EXPIRED, ids, decide, states=("stored", "archived"))

    async def release(self, ids: Sequence[UUID]) -> Removed:
        """Let go of store files that enough verified copies on a sealed volume have: looked at again, under the lock."""
        return await self._remove(Kind.RELEASED, ids, releasable.on_good_copies, states=("stored",))

    async def make_room(
        self, *, before: datetime, at_least_bytes: int | None = None, most: int | None = None
    ) -> Removed:
        """Let go of what may leave of calls before a moment, oldest first: until so many bytes or recordings have gone, or nothing more may."""
        recordings = gone = 0
        stuck: frozenset[UUID] = frozenset()
        last: UUID | None = releasable.BEGINNING
        while last is not None:
            async with self.pool.acquire() as conn:
                walked = await releasable.walk(conn, after=last, before=before)
            begin, last = 0, walked.last
            while begin < len(walked.ids):
                count = _so_many(walked.bytes[begin : begin + BATCH], at_least_bytes, gone, most, recordings)
                if not count:
                    return Removed(recordings=recordings, bytes=gone, more=True, stuck=stuck)
                done = await self.release(walked.ids[begin : begin + count])
                recordings, gone, begin = recordings + done.recordings, gone + done.bytes, begin + count
                stuck = done.stuck
        return Removed(recordings=recordings, bytes=gone, stuck=stuck)

    async def _remove(self, kind: Kind, ids: Sequence[UUID], decide: Decide, *, states: Sequence[str]) -> Removed:
        recordings = gone = 0
        stuck = await self.finish()
        for start in range(0, len(ids), BATCH):
            if len(stuck) >= BATCH:
                raise StoreRefused(
                    "store_files_stay",
                    f"{len(stuck)} files cannot be removed from the store, so nothing more is: see its rights and its disk.",
                )
            async with self.pool.acquire() as conn, conn.transaction():
                await keeping.lock_shared(conn)
                kept = await keeping.kept_for_update(conn, ids[start : start + BATCH], states=states)
                going = await decide(conn, kept)
                if going:
                    await _write(conn, kind, going, at=self.clock(), by=self.by)
                    await self.audit(conn, kind, [one for one, _ in going])
            self.on_step(Step.DECIDED)
            stuck = await self.finish()
            recordings += len(going)
            gone += sum(one.bytes for one, _ in going if one.state == "stored" and one.id not in stuck)
        return Removed(recordings=recordings, bytes=gone, stuck=stuck)

    async def finish(self) -> frozenset[UUID]:
        """Remove the files of rows that were written; take back those on which a hold has been placed since.

        Returns the recordings whose file could not be removed.
        """
        stuck: set[UUID] = set()
        for kind in (Kind.RELEASED, Kind.EXPIRED) if self.erase is not None else (Kind.RELEASED,):
            last = 0
            while rows := await self._finish_some(kind, last, stuck):
                last = rows[-1]["id"]
                self.on_step(Step.NOTED)
        return frozenset(stuck)

    async def _finish_some(self, kind: Kind, last: int, stuck: set[UUID]) -> list[Record]:
        async with self.pool.acquire() as conn, conn.transaction():
            await keeping.lock_shared(conn)
            await conn.execute(_WITHDRAW, self.clock())
            rows = await conn.fetch(_OPEN, BATCH, kind, last)
            if not rows:
                return []
            if self.erase is not None and kind is Kind.EXPIRED:
                await self.erase(conn, [row["recording_id"] for row in rows])
                self.on_step(Step.ERASED)
            # Inside the lock: no hold can come between the look and the last byte.
            stayed = await asyncio.to_thread(self._unlink, [(row["id"], row["path"]) for row in rows])
            stuck.update(row["recording_id"] for row in rows if row["id"] in stayed)
            gone = [row for row in rows if row["id"] not in stayed]
            await conn.execute(_GONE, [row["id"] for row in gone], self.clock())
            if kind is Kind.EXPIRED:
                await file_keys.destroy(conn, [row["recording_id"] for row in gone], at=self.clock())
        return rows

    def _unlink(self, files: Sequence[tuple[int, str]]) -> set[int]:
        """Returns the rows whose file is still there, or may come back after a power cut. Blocking."""
        folders: dict[Path, set[int]] = {}
        stayed = set()
        for row, relative in files:
            try:
                path = locate(self.store_dir, relative)
                path.unlink(missing_ok=True)
                if path.parent.is_dir():
                    folders.setdefault(path.parent, set()).add(row)
            except (OSError, FileGone):
                stayed.add(row)
            self.on_step(Step.FILE_REMOVED)
        for folder, rows in folders.items():
            try:
                sync_directory(folder)
            except OSError:
                stayed |= rows
        return stayed


def _so_many(sizes: Sequence[int], at_least_bytes: int | None, gone: int, most: int | None, recordings: int) -> int:
    """How many of the next files are still wanted."""
    wanted = len(sizes) if most is None else min(len(sizes), most - recordings)
    if at_least_bytes is None:
        return wanted
    for count, free in enumerate(accumulate(sizes[:wanted], initial=gone)):
        if free >= at_least_bytes:
            return count
    return wanted


_WRITE = """
insert into recording_removals (recording_id, attempt_id, project_id, kind, path, sha256, bytes, policy, policy_version, verdict, at, by, was)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_STATE = "update recordings set state = $2, reason = $3 where id = $1"
_BECOMES: Final = {Kind.RELEASED: "archived", Kind.EXPIRED: "deleted"}


async def _write(conn: Conn, kind: Kind, going: Sequence[tuple[Kept, str]], *, at: datetime, by: str) -> None:
    await conn.executemany(
        _WRITE,
        [
            (
                one.id, one.attempt_id, one.project_id, kind, one.path, one.sha256, one.bytes,
                one.policy.name if one.policy else None, one.policy.version if one.policy else None, sentence, at, by, one.state,
            )
            for one, sentence in going
        ],
    )  # fmt: skip
    await conn.executemany(_STATE, [(one.id, _BECOMES[kind], sentence[:500]) for one, sentence in going])


_WITHDRAW = """
with held as (
    update recording_removals r set withdrawn_at = $1 where file_gone_at is null and withdrawn_at is null
        and exists (select from legal_holds h where h.lifted_at is null and h.project_id = r.project_id
                    and (h.attempt_id is null or h.attempt_id = r.attempt_id))
    returning recording_id, was
)
update recordings set state = held.was, reason = null from held where recordings.id = held.recording_id
"""
_OPEN = """
select id, path, recording_id, kind from recording_removals where file_gone_at is null and withdrawn_at is null and kind = $2 and id > $3
order by id limit $1
for update skip locked
"""
_GONE = "update recording_removals set file_gone_at = $2 where id = any($1)"

_PROOF = """
select id, recording_id, attempt_id, project_id, kind, path, sha256, bytes, policy, policy_version, verdict, at, by, file_gone_at, withdrawn_at
from recording_removals where attempt_id = $1 order by id
"""


async def proof(conn: Conn, attempt_id: UUID) -> list[dict[str, Any]]:
    """What became of a call's file, oldest first."""
    return [dict(row) for row in await conn.fetch(_PROOF, attempt_id)]

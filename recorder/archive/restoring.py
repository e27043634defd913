"""Out of the archive again: a call, a day, a volume."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder import keeping, storing
from recorder.archive import catalogue
from recorder.archive.bucket import Bucket, Stored
from recorder.archive.building import ArchiveSettings
from recorder.archive.iso import Source
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.reading import copy_out
from recorder.archive.states import CopyState
from recorder.archive.volume import Item
from recorder.errors import ArchiveError, Damaged, StoreRefused
from recorder.paths import locate
from recorder.settings import RecorderSettings
from recorder.space import read_free

if TYPE_CHECKING:
    from asyncpg import Record

_BACK: Final = ".back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """How many files came back, how many were there already, and the calls that could not be given back with the reason."""

    restored: int
    there: int
    failed: dict[UUID, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restorer:
    """Brings recordings back into the store. `source`: a drive's path or an image; without one, copies in folders are taken."""

    ledger: ArchiveLedger
    settings: ArchiveSettings
    source: Path | None = None
    progress: Callable[[int, int], None] = lambda _done, _total: None

    async def call(self, attempt_id: UUID) -> Restored:
        """One call. Raises ArchiveError `recording_not_archived`, `recording_deleted`, `disc_wanted`; Damaged when no copy at hand gives it."""
        found = await self.ledger.where_is(attempt_id)
        if not found:
            raise ArchiveError("recording_not_archived", "This call is on no volume: see waihu recordings list.")
        done = await self._restore([found[0][0]], found[0][1])
        if done.failed:
            raise Damaged("volume_file_damaged", done.failed[attempt_id])
        return done

    async def volume(self, label: str, *, since: datetime | None = None, until: datetime | None = None) -> Restored:
        """All calls of a volume, or those of a time. What is deleted lawfully stays deleted.

        Raises StoreRefused `store_full` before the first of them where they would fill the store to where nothing is dialled any more.
        """
        volume = await self.ledger.volume(label)
        items = await self.ledger.items(volume.id)
        if since is not None or until is not None:
            rows = await self.ledger.pool.fetch(_BETWEEN, [item.attempt_id for item in items], since, until)
            wanted = {row["attempt_id"] for row in rows}
            items = [item for item in items if item.attempt_id in wanted]
        await self._check_room(items)
        return await self._restore(items, label)

    async def _check_room(self, items: Sequence[Item]) -> None:
        rows = await self.ledger.pool.fetch(_AWAY, [item.recording_id for item in items])
        away = {row["id"] for row in rows}
        wanted = sum(item.bytes for item in items if item.recording_id in away)
        store = self.settings.store_dir
        free = (await asyncio.to_thread(read_free, store, store)).store_bytes
        floor = RecorderSettings(spool_dir=store, store_dir=store).store_floor_bytes
        if free is not None and wanted > max(0, free - floor):
            raise StoreRefused(
                "store_full",
                f"{len(away)} recordings with {wanted} bytes are to come back, and {max(0, free - floor)} are free above the floor of the store: make room, or take a day (--day). Nothing was restored.",
            )

    async def _restore(self, items: Sequence[Item], label: str) -> Restored:
        restored = there = 0
        failed: dict[UUID, str] = {}
        names = storing.NewNames(self.settings.store_dir)
        for number, item in enumerate(items, 1):
            came, problem = await self._bring_back(item, label, names)
            if problem:
                failed[item.attempt_id] = problem
            elif came:
                restored += 1
            else:
                there += 1
            self.progress(number, len(items))
        if len(items) == 1 and failed and "recording_deleted" in failed[items[0].attempt_id]:
            raise ArchiveError(
                "recording_deleted",
                "The retention of this recording is over and it was deleted: it must not come back.",
            )
        return Restored(restored=restored, there=there, failed=failed)

    async def _bring_back(self, item: Item, label: str, names: storing.NewNames) -> tuple[bool, str]:
        """Whether it came back (else it was there), and why it cannot: empty where it can."""
        target = locate(self.settings.store_dir, item.path)
        row = await self.ledger.pool.fetchrow(_ROW, item.recording_id)
        if refused := _refused(row, item):
            return False, refused
        if await asyncio.to_thread(storing.holds, target, size=item.bytes, sha256=item.sha256):
            in_order = row is not None and row["state"] == "stored" and row["verified_at"] is not None
            if in_order or await self._note(item, label, lambda: _holds(target, item)) == "":
                return False, ""
        beside = target.with_name(target.name + _BACK)  # not yet in the store: it may be deleted while it is read
        try:
            if problem := await self._take(item, label, beside):
                return False, problem
            return True, await self._note(item, label, lambda: _put(beside, target, names))
        except OSError as error:
            return False, storing.refusal(error).message
        finally:
            await asyncio.to_thread(beside.unlink, missing_ok=True)

    async def _take(self, item: Item, label: str, target: Path) -> str:
        """Empty when it is in the store now, else why not."""
        problem = ""
        for source in await self._sources(label):
            try:
                await asyncio.to_thread(
                    copy_out, source, catalogue.RECORDINGS + item.path, target, sha256=item.sha256.hex()
                )
            except Damaged as error:
                problem = error.message
            except OSError as error:
                problem = f"{source} cannot be read: {error.strerror}"
            else:
                return ""
        return problem

    async def _sources(self, label: str) -> list[Path | Source]:
        if self.source is not None:
            return [self.source]
        volume = await self.ledger.volume(label)
        copies = await self.ledger.copies(volume.id)
        places = [self.settings.image(label)]
        places += [Path(one.location) for one in copies if one.kind == "folder" and one.location]
        found: list[Path | Source] = [path for path in places if await asyncio.to_thread(os.access, path, os.R_OK)]
        for one in copies:
            if one.kind == "s3" and one.location and one.state is not CopyState.DESTROYED:
                stored = Stored.at(one.location)
                found.append(Bucket(stored.bucket).source(stored))
        if not found:
            names = ", ".join(f"{one.name} ({one.place or 'place not stated'})" for one in copies if one.kind == "disc")
            raise ArchiveError("disc_wanted", f"Put one of these discs into a drive and name the drive: {names}.")
        return found

    async def _note(self, item: Item, label: str, file: Callable[[], bool]) -> str:
        """It is in the store again, if the file is (`file`, blocking, says or sees to it). Empty, or why it is not.

        Nothing is removed meanwhile; a release that was decided, and whose file is still there, is taken back.
        """
        async with self.ledger.pool.acquire() as conn, conn.transaction():
            await keeping.lock_alone(conn)
            if refused := _refused(await conn.fetchrow(f"{_ROW} for update", item.recording_id), item):
                return refused
            await conn.execute(_TAKE_BACK, item.recording_id, self.ledger.clock())
            if not await asyncio.to_thread(file):
                return "The store has let go of it meanwhile: restore it once more."
            changed = await conn.execute(_RESTORED, item.recording_id, self.ledger.clock(), item.sha256)
            if changed == "UPDATE 1":
                await self.ledger.audit(conn, "recording_restored", label, {"call": str(item.attempt_id)})
        return ""


def _refused(row: Record | None, item: Item) -> str:
    """Why a recording must not come back from this volume: empty where it may."""
    if row is None:
        return "The ledger does not know this recording: see waihu archive rebuild."
    if row["state"] == "deleted":
        return "recording_deleted: its retention is over; it must not come back."
    if row["state"] not in {"stored", "archived"} or row["sha256"] != item.sha256:
        return f"The ledger has another recording of this call ({row['state']}): this one is not put in its place."
    return ""


def _holds(target: Path, item: Item) -> bool:
    return storing.holds(target, size=item.bytes, sha256=item.sha256)


def _put(beside: Path, target: Path, names: storing.NewNames) -> bool:
    storing.put_in_place(beside, target)
    names.sync(target.parent)
    return True


_AWAY: Final = "select id from recordings where id = any($1) and state = 'archived'"
_BETWEEN: Final = """
select attempt_id from recordings where attempt_id = any($1) and ($2::timestamptz is null or started_at >= $2)
and ($3::timestamptz is null or started_at < $3)
"""
_ROW: Final = "select state, sha256, verified_at from recordings where id = $1"
_TAKE_BACK: Final = """
update recording_removals set withdrawn_at = $2 where recording_id = $1 and file_gone_at is null and withdrawn_at is null
"""
_RESTORED: Final = """
update recordings set state = 'stored', reason = null, verified_at = $2
where id = $1 and sha256 = $3 and (state = 'archived' or (state = 'stored' and verified_at is null))
and (project_key_id is null or wrapped_key is not null or key_destroyed_at is not null)
"""

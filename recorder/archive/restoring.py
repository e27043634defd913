"""Out of the archive again: a call, many calls, and the ledger itself from the volumes alone."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from recorder import storing
from recorder.archive import catalogue
from recorder.archive.bag import MANIFEST, read_manifest
from recorder.archive.building import ArchiveSettings
from recorder.archive.iso import Iso
from recorder.archive.ledger import ArchiveLedger, Item
from recorder.archive.reading import copy_out, read_volume
from recorder.errors import ArchiveError, Damaged
from recorder.file_keys import FileKeys
from recorder.paths import locate

if TYPE_CHECKING:
    from recorder.ledger import Conn

_AT_ONCE: Final = 500


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
        """All calls of a volume, or those of a time. What is deleted lawfully stays deleted."""
        volume = await self.ledger.volume(label)
        items = await self.ledger.items(volume.id)
        if since is not None or until is not None:
            rows = await self.ledger.pool.fetch(_BETWEEN, [item.attempt_id for item in items], since, until)
            wanted = {row["attempt_id"] for row in rows}
            items = [item for item in items if item.attempt_id in wanted]
        return await self._restore(items, label)

    async def _restore(self, items: Sequence[Item], label: str) -> Restored:
        states = {
            row["attempt_id"]: row["state"]
            for row in await self.ledger.pool.fetch(_STATES, [item.attempt_id for item in items])
        }
        restored = there = 0
        failed: dict[UUID, str] = {}
        for number, item in enumerate(items, 1):
            target = locate(self.settings.store_dir, item.path)
            if states.get(item.attempt_id) == "deleted":
                failed[item.attempt_id] = "recording_deleted: its retention is over; it must not come back."
            elif await asyncio.to_thread(storing.holds, target, size=item.bytes, sha256=item.sha256):
                there += 1
                await self._note(item, label)
            elif problem := await self._take(item, label, target):
                failed[item.attempt_id] = problem
            else:
                restored += 1
                await self._note(item, label)
            self.progress(number, len(items))
        if len(items) == 1 and failed and "recording_deleted" in failed[items[0].attempt_id]:
            raise ArchiveError(
                "recording_deleted",
                "The retention of this recording is over and it was deleted: it must not come back.",
            )
        return Restored(restored=restored, there=there, failed=failed)

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

    async def _sources(self, label: str) -> list[Path]:
        if self.source is not None:
            return [self.source]
        volume = await self.ledger.volume(label)
        copies = await self.ledger.copies(volume.id)
        places = [self.settings.image(label)]
        places += [Path(one.location) for one in copies if one.kind == "folder" and one.location]
        found = [path for path in places if await asyncio.to_thread(path.exists)]
        if not found:
            names = ", ".join(f"{one.name} ({one.place or 'place not stated'})" for one in copies if one.kind == "disc")
            raise ArchiveError("disc_wanted", f"Put one of these discs into a drive and name the drive: {names}.")
        return found

    async def _note(self, item: Item, label: str) -> None:
        async with self.ledger.pool.acquire() as conn, conn.transaction():
            changed = await conn.execute(_RESTORED, item.recording_id, self.ledger.clock(), item.sha256)
            if changed == "UPDATE 1":
                await self.ledger.audit(conn, "recording_restored", label, {"call": str(item.attempt_id)})


_BETWEEN: Final = """
select attempt_id from recordings where attempt_id = any($1) and ($2::timestamptz is null or started_at >= $2)
and ($3::timestamptz is null or started_at < $3)
"""
_STATES: Final = "select attempt_id, state from recordings where attempt_id = any($1)"
_RESTORED: Final = """
update recordings set state = 'stored', reason = null, verified_at = $2 where id = $1 and state = 'archived' and sha256 = $3
and (project_key_id is null or wrapped_key is not null or key_destroyed_at is not null)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a volume gave back to the ledger."""

    label: str
    recordings: int
    new: int


async def rebuild(ledger: ArchiveLedger, sources: Sequence[Path], *, keys: FileKeys | None = None) -> list[Rebuilt]:
    """Write into the ledger what volumes say and it does not know: projects, leads, attempts, recordings, the volumes and these copies themselves.

    Each volume is read as a whole first; one with a fault is refused (repair its image before). Rows that are there are left as they are. The state of
    a new recording is `archived`. `keys` open sealed rows. Raises Damaged `volume_damaged`, ArchiveError `archive_keys_missing`, KeysRefused.
    """
    done = []
    for number, source in enumerate(sources, 1):
        done.append(await _rebuild_from(ledger, source, number, keys))
    return done


async def _rebuild_from(ledger: ArchiveLedger, source: Path, number: int, keys: FileKeys | None) -> Rebuilt:
    size = await asyncio.to_thread(_data_bytes, source)
    reading = await asyncio.to_thread(read_volume, source, image_bytes=size, sha256=None)
    if reading.faults or reading.sha256 is None:
        faults = "; ".join(f"{fault.path}: {fault.problem}" for fault in reading.faults[:5])
        raise Damaged(
            "volume_damaged", f"{source} is damaged ({faults}): repair its image first, or take another copy."
        )
    with Iso(source) as iso:
        info = dict(line.split(": ", 1) for line in iso.content("bag-info.txt").decode().splitlines())
        project = json.loads(iso.content(f"data/{catalogue.FOLDER}/{catalogue.PROJECT}"))
        name = catalogue.ROWS if project["rows_master"] is None else catalogue.SEALED_ROWS
        content = iso.content(f"data/{catalogue.FOLDER}/{name}")
        files = sum(path.startswith(catalogue.RECORDINGS) for path in read_manifest(iso.content(MANIFEST), MANIFEST))
    volume_id = UUID(info["Internal-Sender-Identifier"])
    if project["rows_master"] is not None:
        if keys is None:
            raise ArchiveError(
                "archive_keys_missing", f"The rows on {source} are sealed: the keys of recordings are needed."
            )
        ring, rows_sha256 = await keys.ring(), bytes.fromhex(info["Waihu-Rows-Sha256"])
        seal = catalogue.rows_seal(volume_id, ring, master=project["rows_master"], rows_sha256=rows_sha256)
        content = await asyncio.to_thread(catalogue.open_rows, content, seal)
    rows = [json.loads(line) for line in content.splitlines()]
    if len(rows) != files:
        raise Damaged("volume_damaged", f"{source} has {files} recordings and {len(rows)} rows of them.")
    label = info["External-Identifier"]
    async with ledger.pool.acquire() as conn, conn.transaction():
        await _insert(conn, "projects", [project])
        await _insert(conn, "recording_project_keys", project["recording_project_keys"])
        new = 0
        for some in _batches(rows):
            await _insert(conn, "leads", [row["lead"] for row in some if row["lead"]], "overriding system value")
            await _insert(conn, "attempts", [row["attempt"] for row in some])
            archived = [{**row["recording"], "state": "archived", "reason": f"archived on {label}"} for row in some]
            new += await _insert(conn, "recordings", archived)
            await _insert(conn, "recording_waveforms", [row["waveform"] for row in some if row["waveform"]])
        await conn.execute(_LEADS_GO_ON)
        await conn.execute(
            _VOLUME, volume_id, label, UUID(info["Bag-Group-Identifier"]), int(info["Waihu-Expiry-Year"]), len(rows),
            sum(row["recording"]["bytes"] for row in rows), ledger.clock(), ledger.by, hashlib.sha256(content).digest(),
            size, reading.sha256,
        )  # fmt: skip
        items = [(volume_id, *_item(row["recording"])) for row in rows]
        await conn.executemany(_ITEM, items)
        await conn.execute(_COPY, volume_id, number, str(source), ledger.clock())
        await conn.execute(_LABELS_GO_ON, int(label[1:]))
        await ledger.audit(conn, "ledger_rebuilt", label, {"recordings": len(rows), "new": new})
    return Rebuilt(label=label, recordings=len(rows), new=new)


def _item(recording: dict[str, Any]) -> tuple[UUID, UUID, str, bytes, int]:
    sha256 = bytes.fromhex(recording["sha256"].removeprefix("\\x"))
    return UUID(recording["id"]), UUID(recording["attempt_id"]), recording["path"], sha256, recording["bytes"]


_COLUMNS: Final = """
select a.attname from pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attname = any($2)
and not exists (select from pg_constraint c where c.conrelid = a.attrelid and c.contype = 'f' and c.conparentid = 0 and a.attnum = any(c.conkey)
                and c.confrelid::regclass::text <> all(array['projects', 'leads', 'attempts', 'recordings', 'recording_project_keys']))
order by a.attnum
"""


async def _insert(conn: Conn, table: str, rows: Sequence[dict[str, Any]], how: str = "") -> int:
    """Insert what is not there; of each row the columns that the table has and that refer to nothing a volume does not carry."""
    if not rows:
        return 0
    names = [row["attname"] for row in await conn.fetch(_COLUMNS, table, list(rows[0]))]
    listed = ", ".join(f'"{name}"' for name in names)
    done = await conn.execute(
        f"insert into {table} ({listed}) {how} select {listed} from jsonb_populate_recordset(null::{table}, $1::text::jsonb) on conflict do nothing",  # noqa: S608  # names from the catalogue of the database
        json.dumps(rows),
    )
    return int(done.rpartition(" ")[2])


_LEADS_GO_ON: Final = (
    "select setval(pg_get_serial_sequence('leads', 'id'), greatest((select coalesce(max(id), 1) from leads), 1))"
)
_LABELS_GO_ON: Final = "select setval('archive_labels', greatest($1::bigint, (select last_value from archive_labels)))"
# The error correction behind the data is not covered by the hash of a rebuilt volume: its size is not on it.
_VOLUME: Final = """
insert into archive_volumes (id, label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by,
                             rows_sha256, data_bytes, data_sha256, image_bytes, image_sha256, sealed_at)
values ($1, $2, $3, $4, 'folder', 'sealed', $5, $6, 2, $7, $8, $9, $10, $11, $10, $11, $7)
on conflict (id) do nothing
"""
_ITEM: Final = """
insert into archive_items (volume_id, recording_id, attempt_id, path, sha256, bytes) values ($1, $2, $3, $4, $5, $6) on conflict do nothing
"""
_COPY: Final = """
insert into archive_copies (volume_id, number, state, kind, location, written_at, verified_at)
values ($1, $2, 'verified', 'folder', $3, $4, $4) on conflict do nothing
"""


def _data_bytes(source: Path) -> int:
    with Iso(source) as iso:
        return iso.data_bytes


def _batches(rows: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]

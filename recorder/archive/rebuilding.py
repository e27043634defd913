"""The ledger from the volumes alone, when all else is lost: rows that it does not know, the volumes, and the copies they were read from."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from recorder.archive import catalogue
from recorder.archive.bag import MANIFEST, read_manifest
from recorder.archive.bucket import Bucket, Stored
from recorder.archive.erasing import ArchiveKeys, unwrap_from_disc
from recorder.archive.iso import Iso
from recorder.archive.key_tree import KeyTree
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.reading import read_volume
from recorder.errors import ArchiveError, Damaged
from recorder.file_keys import FileKeys, LostKey, wrapped_under
from recorder.sealing import Seal

if TYPE_CHECKING:
    from recorder.ledger import Conn

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a volume gave back to the ledger. `erased`: recordings that were deleted by law, and stay so."""

    label: str
    recordings: int
    new: int
    erased: int


async def rebuild(
    ledger: ArchiveLedger,
    sources: Sequence[Path | Stored],
    *,
    work: Path,
    keys: FileKeys | None = None,
    archive_keys: ArchiveKeys | None = None,
) -> list[Rebuilt]:
    """Write into the ledger what volumes say and it does not know: projects, leads, attempts, recordings, the volumes and these copies themselves.

    Each volume is read as a whole first; one with a fault is refused (repair its image before). Rows that are there are left as they are. The state of
    a new recording is `archived`, or `deleted` where the archive's keys say that it was erased. `keys` open sealed rows. Without `archive_keys` (they
    are lost) what was sealed comes back as a row that nobody can open, and what was erased as if it had not been. An object in a bucket is fetched into
    the folder `work` to be read, and goes from there again.

    Raises Damaged `volume_damaged`, `archive_key_wrong`, ArchiveError `archive_keys_missing` and those of `ArchiveKeys.tree` and `Bucket`, KeysRefused.
    """
    tree = None if archive_keys is None else await archive_keys.tree()
    done = []
    for number, source in enumerate(sources, 1):
        if isinstance(source, Stored):
            copy, fetched = _Copy(kind="s3", location=source.location, number=number), work / "rebuilding.iso"
            try:
                await asyncio.to_thread(Bucket(source.bucket).download, source, fetched)
                done.append(await _rebuild_from(ledger, fetched, copy, keys, tree))
            finally:
                await asyncio.to_thread(fetched.unlink, missing_ok=True)
        else:
            copy = _Copy(kind="folder", location=str(source), number=number)
            done.append(await _rebuild_from(ledger, source, copy, keys, tree))
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """What the ledger will know of the copy that was read."""

    kind: str
    location: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    """What a volume says."""

    id: UUID
    label: str
    info: Mapping[str, str]
    project: Mapping[str, Any]
    rows: Sequence[dict[str, Any]]
    rows_sha256: bytes
    data_bytes: int
    data_sha256: bytes


async def _rebuild_from(
    ledger: ArchiveLedger, source: Path, copy: _Copy, keys: FileKeys | None, tree: KeyTree | None
) -> Rebuilt:
    volume = await _read(source, keys)
    rows, label = volume.rows, volume.label
    leaves = await asyncio.to_thread(_leaves, volume, tree)
    at = ledger.clock()
    async with ledger.pool.acquire() as conn, conn.transaction():
        await _insert(conn, "projects", [volume.project])
        project_keys = await _project_keys(conn, volume, keys, at)
        new = erased = 0
        for some in _batches(rows):
            await _insert(conn, "leads", [row["lead"] for row in some if row["lead"]], "overriding system value")
            await _insert(conn, "attempts", [row["attempt"] for row in some])
            recordings = [_recording(row, volume, leaves, project_keys, at) for row in some]
            erased += sum(one["state"] == "deleted" for one in recordings)
            new += await _insert(conn, "recordings", recordings)
            await _insert(conn, "recording_waveforms", [row["waveform"] for row in some if row["waveform"]])
        await conn.execute(_LEADS_GO_ON)
        await conn.execute(
            _VOLUME, volume.id, label, UUID(volume.info["Bag-Group-Identifier"]), int(volume.info["Waihu-Expiry-Year"]), len(rows),
            sum(row["recording"]["bytes"] for row in rows), at, ledger.by, volume.rows_sha256, volume.data_bytes, volume.data_sha256,
        )  # fmt: skip
        await conn.executemany(_ITEM, [(volume.id, *_item(row["recording"]), row.get("number")) for row in rows])
        await conn.execute(_COPY, volume.id, copy.number, copy.kind, copy.location, at)
        await conn.execute(_LABELS_GO_ON, int(label[1:]))
        await ledger.audit(conn, "ledger_rebuilt", label, {"recordings": len(rows), "new": new, "erased": erased})
    return Rebuilt(label=label, recordings=len(rows), new=new, erased=erased)


async def _read(source: Path, keys: FileKeys | None) -> _Volume:
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
    if keys is None and (project["rows_master"] is not None or project["recording_project_keys"]):
        raise ArchiveError("archive_keys_missing", f"{source} is sealed: the keys of recordings are needed.")
    if keys is not None and project["rows_master"] is not None:
        ring, rows_sha256 = await keys.ring(), bytes.fromhex(info["Waihu-Rows-Sha256"])
        seal = catalogue.rows_seal(volume_id, ring, master=project["rows_master"], rows_sha256=rows_sha256)
        content = await asyncio.to_thread(catalogue.open_rows, content, seal)
    rows = [json.loads(line) for line in content.splitlines()]
    if len(rows) != files:
        raise Damaged("volume_damaged", f"{source} has {files} recordings and {len(rows)} rows of them.")
    return _Volume(
        id=volume_id, label=info["External-Identifier"], info=info, project=project, rows=rows,
        rows_sha256=hashlib.sha256(content).digest(), data_bytes=size, data_sha256=reading.sha256,
    )  # fmt: skip


def _leaves(volume: _Volume, tree: KeyTree | None) -> list[bytes | None] | None:
    """The archive keys of the volume's recordings by their numbers; None where nobody knows them."""
    return None if tree is None else list(tree.leaves(volume.id, len(volume.rows)))


async def _project_keys(conn: Conn, volume: _Volume, keys: FileKeys | None, at: datetime) -> dict[UUID, bytes]:
    """The keys of the project, made anew where the ledger has lost them."""
    if keys is None:
        return {}
    lost = [
        LostKey(
            id=UUID(key["id"]), project_id=UUID(key["project_id"]), created_at=datetime.fromisoformat(key["created_at"]),
            retired_at=datetime.fromisoformat(key["retired_at"]) if key["retired_at"] else None, destroyed=key["destroyed"],
        )
        for key in volume.project["recording_project_keys"]
    ]  # fmt: skip
    await keys.adopt(conn, lost, at=at)
    return await keys.of_project(conn, UUID(volume.project["id"]))


def _recording(
    row: dict[str, Any],
    volume: _Volume,
    leaves: Sequence[bytes | None] | None,
    project_keys: Mapping[UUID, bytes],
    at: datetime,
) -> dict[str, Any]:
    """A recording's row as it goes into the ledger: on discs only, with its key under its project's; or erased."""
    recording: dict[str, Any] = {
        **row["recording"], "state": "archived", "reason": f"archived on {volume.label}", "wrapped_key": None,
    }  # fmt: skip
    if leaves is None or row.get("number") is None:
        return recording
    leaf, sealed_under = leaves[row["number"]], recording["project_key_id"]
    if leaf is None:
        reason = f"deleted before the ledger was rebuilt from {volume.label}"
        return {**recording, "state": "deleted", "reason": reason, "key_destroyed_at": sealed_under and at.isoformat()}
    project_key = project_keys.get(UUID(sealed_under)) if sealed_under else None
    if row["key"] is None or project_key is None:
        return recording
    attempt_id = UUID(recording["attempt_id"])
    seal = Seal(attempt_id=attempt_id, key=unwrap_from_disc(leaf, volume.id, attempt_id, row["key"]))
    return {**recording, "wrapped_key": "\\x" + wrapped_under(project_key, seal).hex()}


def _item(recording: dict[str, Any]) -> tuple[UUID, UUID, str, bytes, int]:
    sha256 = bytes.fromhex(recording["sha256"].removeprefix("\\x"))
    return UUID(recording["id"]), UUID(recording["attempt_id"]), recording["path"], sha256, recording["bytes"]


_COLUMNS: Final = """
select a.attname from pg_attribute a where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped and a.attname = any($2)
and not exists (select from pg_constraint c where c.conrelid = a.attrelid and c.contype = 'f' and c.conparentid = 0 and a.attnum = any(c.conkey)
                and c.confrelid::regclass::text <> all(array['projects', 'leads', 'attempts', 'recordings', 'recording_project_keys']))
order by a.attnum
"""


async def _insert(conn: Conn, table: str, rows: Sequence[Mapping[str, Any]], how: str = "") -> int:
    """Insert what is not there; of each row the columns that the table has and that refer to nothing a volume does not carry."""
    if not rows:
        return 0
    names = [row["attname"] for row in await conn.fetch(_COLUMNS, table, list(rows[0]))]
    listed = ", ".join(f'"{name}"' for name in names)
    done = await conn.execute(
        f"insert into {table} ({listed}) {how} select {listed} from jsonb_populate_recordset(null::{table}, $1::text::jsonb) on conflict do nothing",  # noqa: S608  # names from the catalogue of the database
        json.dumps([dict(row) for row in rows]),
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
insert into archive_items (volume_id, recording_id, attempt_id, path, sha256, bytes, number) values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
"""
_COPY: Final = """
insert into archive_copies (volume_id, number, state, kind, location, written_at, verified_at)
values ($1, $2, 'verified', $3, $4, $5, $5) on conflict do nothing
"""


def _data_bytes(source: Path) -> int:
    with Iso(source) as iso:
        return iso.data_bytes


def _batches(rows: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]

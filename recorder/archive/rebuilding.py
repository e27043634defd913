"""The ledger from the volumes alone, when all else is lost: rows that it does not know, the volumes, and the copies they were read from."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from recorder.archive import catalogue
from recorder.archive.bag import MANIFEST, read_manifest
from recorder.archive.iso import Iso
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.reading import read_volume
from recorder.errors import ArchiveError, Damaged
from recorder.file_keys import FileKeys

if TYPE_CHECKING:
    from recorder.ledger import Conn

_AT_ONCE: Final = 500


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

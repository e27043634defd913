"""The ledger from the volumes alone, when all else is lost: rows that it does not know, the volumes, and the copies they were read from."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from recorder import keeping
from recorder.archive import catalogue, correction
from recorder.archive.bag import MANIFEST, read_manifest
from recorder.archive.bucket import Bucket, Stored
from recorder.archive.erasing import ArchiveKeys, unwrap_from_disc
from recorder.archive.iso import Iso
from recorder.archive.key_tree import KeyTree
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.nameplate import Nameplate, read_nameplate
from recorder.archive.reading import read_volume
from recorder.archive.rows_back import insert, leads_back, of_lead
from recorder.errors import ArchiveError, Damaged
from recorder.file_keys import FileKeys, LostKey, wrapped_under
from recorder.sealing import Seal

if TYPE_CHECKING:
    from recorder.ledger import Conn

_AT_ONCE: Final = 500
_IN_KEY: Final = re.compile(r"-([0-9]{1,2})\.iso$")
CHECK_HOLDS: Final = "check holds: the ledger was rebuilt from volumes, which know no legal holds; place those that were lost, then lift this one"
"""The reason of the hold that a rebuilt project gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a volume gave back to the ledger. `erased`: recordings that were deleted by law, and stay so. `copy`: the copy it was read from, empty where
    it does not say which of those it is that the ledger knows. `on_hold`: its project is held until somebody has checked the holds.
    """

    label: str
    copy: str
    on_hold: bool
    recordings: int
    new: int
    erased: int


async def rebuild(
    ledger: ArchiveLedger,
    sources: Sequence[Path | Stored],
    *,
    work: Path,
    signers: Collection[str],
    keys: FileKeys | None = None,
    archive_keys: ArchiveKeys | None = None,
) -> list[Rebuilt]:
    """Write into the ledger what volumes say and it does not know: projects, leads, attempts, recordings, the volumes and these copies themselves.

    Each volume is read as a whole first; one with a fault is refused (repair its image before). Rows that are there are left as they are. The state of
    a new recording is `archived`, or `deleted` where the archive's keys say that it was erased. Volumes know no legal holds, so a project that got
    recordings back is held until somebody has checked its holds. `signers`: public keys (hexadecimal) of those whose volumes are believed. `keys` open
    sealed rows. Without `archive_keys` (they
    are lost) what was sealed comes back as a row that nobody can open, and what was erased as if it had not been. An object in a bucket is fetched into
    the folder `work` to be read, and goes from there again.

    Raises Damaged `volume_damaged`, `archive_key_wrong`, ArchiveError `archive_keys_missing`, `signer_unknown`, `volume_label_taken` and those of `ArchiveKeys.tree` and `Bucket`, KeysRefused.
    """
    tree = None if archive_keys is None else await archive_keys.tree()
    done = []
    for source in sources:
        if isinstance(source, Stored):
            fetched = work / "rebuilding.iso"
            try:
                await asyncio.to_thread(Bucket(source.bucket).download, source, fetched)
                volume = await _read(fetched, keys, signers)
            finally:
                await asyncio.to_thread(fetched.unlink, missing_ok=True)
            number = _IN_KEY.search(source.key)
            copy = _Copy(kind="s3", location=source.location, number=int(number[1]) if number else None)
        else:
            volume = await _read(source, keys, signers)
            kind = "disc" if await asyncio.to_thread(source.is_block_device) else "folder"
            copy = _Copy(kind=kind, location=str(source), number=None)
        done.append(await _write(ledger, volume, copy, keys, tree))
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """What the ledger will know of the copy that was read."""

    kind: str
    location: str
    number: int | None


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
    image_bytes: int
    image_sha256: bytes
    plate: Nameplate | None


async def _write(
    ledger: ArchiveLedger, volume: _Volume, copy: _Copy, keys: FileKeys | None, tree: KeyTree | None
) -> Rebuilt:
    rows, label = volume.rows, volume.label
    leaves = await asyncio.to_thread(_leaves, volume, tree)
    at = ledger.clock()
    async with ledger.pool.acquire() as conn, conn.transaction():
        await _check_label(conn, volume)
        await insert(conn, "projects", [volume.project])
        project_keys = await _project_keys(conn, volume, keys, at)
        new = erased = 0
        for some in _batches(rows):
            leads = await leads_back(conn, [row["lead"] for row in some if row["lead"]])
            await insert(conn, "attempts", [of_lead(row["attempt"], leads) for row in some])
            recordings = [of_lead(_recording(row, volume, leaves, project_keys, at), leads) for row in some]
            erased += sum(one["state"] == "deleted" for one in recordings)
            new += await insert(conn, "recordings", recordings)
            await insert(conn, "recording_waveforms", [row["waveform"] for row in some if row["waveform"]])
        project_id = UUID(volume.info["Bag-Group-Identifier"])
        await conn.execute(
            _VOLUME, volume.id, label, project_id, int(volume.info["Waihu-Expiry-Year"]), len(rows), sum(row["recording"]["bytes"] for row in rows), at,
            ledger.by, volume.rows_sha256, volume.data_bytes, volume.data_sha256, volume.image_bytes, volume.image_sha256,
        )  # fmt: skip
        await conn.executemany(_ITEM, [(volume.id, *_item(row["recording"]), row.get("number")) for row in rows])
        name = await _note_copy(conn, volume, copy, at)
        on_hold = await _hold(conn, ledger, project_id) if new else False
        await conn.execute(_LABELS_GO_ON, int(label[1:]))
        detail = {"recordings": len(rows), "new": new, "erased": erased, "copy": name, "on_hold": on_hold}
        await ledger.audit(conn, "ledger_rebuilt", label, detail)
    return Rebuilt(label=label, copy=name, on_hold=on_hold, recordings=len(rows), new=new, erased=erased)


async def _check_label(conn: Conn, volume: _Volume) -> None:
    if await conn.fetchval(_LABEL_TAKEN, volume.label, volume.id):
        raise ArchiveError(
            "volume_label_taken",
            f"The ledger knows another volume {volume.label}, made since: bring this one back into a database of its own. Nothing was written.",
        )


async def _note_copy(conn: Conn, volume: _Volume, copy: _Copy, at: datetime) -> str:
    """The name of the copy in the ledger, where it is written if it was not known. No medium becomes two copies: one that does not say which it is is
    not written beside others.
    """
    known = await conn.fetch("select id, number, kind, location from archive_copies where volume_id = $1", volume.id)
    for one in known:
        same_place = copy.kind != "disc" and (one["kind"], one["location"]) == (copy.kind, copy.location)
        if same_place or (volume.plate is not None and one["id"] == volume.plate.copy_id):
            return f"{volume.label}-{one['number']}"
    if volume.plate is None and copy.kind == "disc" and known:
        return ""
    wanted = copy.number if volume.plate is None else int(volume.plate.copy.rpartition("-")[2])
    taken = {one["number"] for one in known}
    number = next((one for one in (wanted, *range(1, 100)) if one is not None and one not in taken), None)
    if number is None:
        return ""
    copy_id = volume.plate.copy_id if volume.plate is not None else uuid4()
    await conn.execute(_COPY, volume.id, number, copy.kind, copy.location, at, copy_id)
    return f"{volume.label}-{number}"


async def _hold(conn: Conn, ledger: ArchiveLedger, project_id: UUID) -> bool:
    """The legal holds were lost with the ledger: nothing of the project is removed, in no bucket a hold is lifted, until somebody has looked."""
    if not await conn.fetchval(_HELD_FOR_CHECK, project_id, CHECK_HOLDS):
        hold = await keeping.place_hold(conn, project_id, CHECK_HOLDS, at=ledger.clock(), by=ledger.by)
        await ledger.audit(conn, "hold_placed", str(project_id), {"hold": str(hold), "reason": CHECK_HOLDS})
    return True


async def _read(source: Path, keys: FileKeys | None, signers: Collection[str]) -> _Volume:
    data_bytes, image_bytes, plate = await asyncio.to_thread(_measured, source)
    reading = await asyncio.to_thread(
        read_volume, source, image_bytes=image_bytes, data_bytes=data_bytes, sha256=plate.image_sha256 if plate else None
    )  # fmt: skip
    if reading.faults or reading.sha256 is None or reading.data_sha256 is None:
        faults = "; ".join(f"{fault.path}: {fault.problem}" for fault in reading.faults[:5])
        raise Damaged(
            "volume_damaged", f"{source} is damaged ({faults}): repair its image first, or take another copy."
        )
    if reading.public_key not in signers:
        raise ArchiveError(
            "signer_unknown",
            f"{source} is signed with {reading.public_key}, which is not the key of this archive: if you know whose it is and trust it, say --signed-by. Nothing was written.",
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
        rows_sha256=hashlib.sha256(content).digest(), data_bytes=data_bytes, data_sha256=reading.data_sha256, image_bytes=image_bytes,
        image_sha256=reading.sha256, plate=plate,
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


_LABELS_GO_ON: Final = "select setval('archive_labels', greatest($1::bigint, (select last_value from archive_labels)))"
_LABEL_TAKEN: Final = "select exists (select from archive_volumes where label = $1 and id <> $2)"
_VOLUME: Final = """
insert into archive_volumes (id, label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by,
                             rows_sha256, data_bytes, data_sha256, image_bytes, image_sha256, sealed_at)
values ($1, $2, $3, $4, 'folder', 'sealed', $5, $6, 2, $7, $8, $9, $10, $11, $12, $13, $7)
on conflict (id) do nothing
"""
_ITEM: Final = """
insert into archive_items (volume_id, recording_id, attempt_id, path, sha256, bytes, number) values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
"""
_COPY: Final = """
insert into archive_copies (volume_id, number, state, kind, location, written_at, verified_at, id)
values ($1, $2, 'verified', $3, $4, $5, $5, $6)
"""
_HELD_FOR_CHECK: Final = "select exists (select from legal_holds where project_id = $1 and attempt_id is null and reason = $2 and lifted_at is null)"


def _measured(source: Path) -> tuple[int, int, Nameplate | None]:
    """Bytes without and with error correction, and the nameplate. Blocking. Raises Damaged `volume_damaged`, `volume_structure_damaged`."""
    with Iso(source) as iso:
        data_bytes = iso.data_bytes
    image_bytes = correction.protected_bytes(source, data_bytes)
    if image_bytes is None:
        raise Damaged(
            "volume_damaged", f"The error correction of {source} cannot be found: repair its image first, or take another copy."
        )  # fmt: skip
    return data_bytes, image_bytes, read_nameplate(source, image_bytes)


def _batches(rows: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]

"""archive handover: a volume for a client's key, burned or put into a folder, and read again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

from dialer.cli.office import Office, actor, now
from dialer.db import audit_trail, recording_exports
from dialer.domain.errors import BadRequest, NotFound
from dialer.web.recordings import handover
from dialer.web.recordings.handover import Handover
from recorder.archive.drive import Drive
from recorder.archive.handover import Image
from recorder.archive.reading import read_volume
from recorder.errors import Damaged


async def hand_over(office: Office, export_id: UUID, into: Path | None, drive: str | None) -> dict[str, Any]:
    """Make it, note every recording, write it, read it again. What a person can look at later."""
    async with office.pool.acquire() as conn:
        export = await recording_exports.one(conn, export_id)
        if export is None:
            raise NotFound("export_unknown", "There is no such export.")
        handover.may_be_fetched(export, now())
        parcel = await handover.gather(conn, export)
    target = None if into is None else into / f"{parcel.label}.iso"
    if target is not None and target.exists():
        raise BadRequest("file_exists", f"{target} is there already: nothing is overwritten.")
    async with handover.image_of(office.deps, parcel) as image:
        await _note(office, parcel, image)
        place = await asyncio.to_thread(_write, image, target, drive)
        reading = await asyncio.to_thread(read_volume, place, image_bytes=image.bytes, sha256=image.sha256)
    if reading.faults:
        raise Damaged("copy_damaged", f"{place} is not what was written: throw it away and make another.")
    return {
        "label": parcel.label, "recordings": len(parcel.made.files), "recipient": parcel.recipient, "bytes": image.bytes, "sha256": image.sha256.hex(),
        "at": str(place),
    }  # fmt: skip


async def _note(office: Office, parcel: Handover, image: Image) -> None:
    """Committed before anything leaves the archive directory."""

    def entry(action: str, kind: str, subject: UUID, **detail: Any) -> audit_trail.Entry:
        return audit_trail.Entry(
            at=now(), user_id=None, actor=actor(), address=None, action=action, subject_type=kind, subject_id=str(subject), detail=detail,
        )  # fmt: skip

    export = parcel.export
    async with office.pool.acquire() as conn, conn.transaction():
        await audit_trail.write_all(conn, [
            entry(
                "recording_handed_over", "recording", row.id, export=str(export.id), call_id=row.attempt_id, project_id=row.project_id, why=export.reason,
                recipient=parcel.recipient,
            )
            for _, _, row in parcel.made.files
        ])  # fmt: skip
        await audit_trail.write(conn, entry(
            "recording_export_fetched", "recording_export", export.id, project_id=export.project_id, recordings=len(parcel.made.files),
            recipient=parcel.recipient, image_sha256=image.sha256.hex(),
        ))  # fmt: skip


def _write(image: Image, target: Path | None, drive: str | None) -> Path:
    """Blocking."""
    if target is None:
        burner = Drive(drive or "")
        burner.burn(image.path)
        return burner.path
    part = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(image.path, part)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return target

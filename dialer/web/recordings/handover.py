"""An approved export as a volume for the client's key: what goes in, and its image. For the API and the command line alike."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from campaigns.sql import OneConnection
from dialer.db.history import RecordingRow
from dialer.db.recording_exports import Export
from dialer.domain.errors import Conflict
from dialer.web.deps import WebDeps
from dialer.web.recordings import bundling
from dialer.web.recordings.bundling import Bundle
from recorder import bundle
from recorder.archive.building import ArchiveSettings, alone
from recorder.archive.handover import AboutHandover, Image, Parcel
from recorder.archive.signing import load_key
from recorder.errors import ArchiveError, Damaged
from recorder.paths import locate
from recorder.sealing import Seal, content_of

WITHIN = timedelta(days=1)
"""From the agreement on."""

_PATTERN = "recordings/{call}"  # outside the encryption, so nothing but our own id


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What goes onto the volume of an export."""

    export: Export
    recipient: str
    made: Bundle

    @property
    def label(self) -> str:
        """The volume's name."""
        return f"H{self.export.id.hex[:8].upper()}"


def may_be_fetched(export: Export, now: datetime) -> None:
    """Errors: Conflict `export_not_approved`, `export_over`."""
    if export.approved_at is None:
        raise Conflict("export_not_approved", "Somebody else has to agree to this export first.")
    if now - export.approved_at > WITHIN:
        raise Conflict("export_over", "This export could be fetched for a day: ask for it again.")


async def gather(conn: OneConnection, export: Export) -> Handover:
    """The recordings of an export. Errors: Conflict `export_has_no_recipient`; those of `bundling.gather`."""
    if export.recipient is None:
        raise Conflict("export_has_no_recipient", "This export is for no client's key: fetch it as a zip.")
    made = await bundling.gather(
        conn, project_id=export.project_id, first_day=export.first_day, last_day=export.last_day, dispositions=export.dispositions, pattern=_PATTERN
    )  # fmt: skip
    return Handover(export=export, recipient=export.recipient, made=made)


@asynccontextmanager
async def image_of(deps: WebDeps, handover: Handover) -> AsyncIterator[Image]:
    """Make the image; it goes when the block is left. Errors: ArchiveError, FileGone, KeysRefused; `archive_in_use` while another makes it."""
    folder = deps.archive_dir / "handovers" / str(handover.export.id)
    with alone(folder):
        try:
            try:
                image = await _pack(deps, handover, folder / "work")
            except OSError as error:
                raise ArchiveError(
                    "archive_dir_refused", f"{folder} does not take the volume ({error}): is there room?"
                ) from error
            yield image
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _pack(deps: WebDeps, handover: Handover, folder: Path) -> Image:
    export, made = handover.export, handover.made
    parcel = await asyncio.to_thread(Parcel, folder, handover.recipient)
    for name, _, row in made.files:
        seal = await bundling.seal_of(deps, row)
        content = await asyncio.to_thread(_sound, locate(deps.store_dir, row.path or ""), seal, row)
        await asyncio.to_thread(parcel.put, name, content)
    await asyncio.to_thread(parcel.put, "index.html", bundle.index_html(made.entries, made.title))
    await asyncio.to_thread(parcel.put, "index.xlsx", bundle.index_xlsx(made.entries))
    about = AboutHandover(
        label=handover.label, export_id=str(export.id), client=made.client, project=made.project,
        days=f"{export.first_day} – {export.last_day}", recipient=handover.recipient, recordings=len(made.files), made_at=deps.clock(),
    )  # fmt: skip
    settings = ArchiveSettings(archive_dir=deps.archive_dir, store_dir=deps.store_dir)
    return await asyncio.to_thread(lambda: parcel.close(about, load_key(settings.key_file)))


def _sound(path: Path, seal: Seal | None, row: RecordingRow) -> bytes:
    """What is inside, as it was when it was stored. Blocking. Raises Damaged `source_damaged`, FileGone."""
    with content_of(path, seal) as content:
        sound = content.read()
    if hashlib.sha256(sound).digest() != (row.content_sha256 or row.sha256):
        raise Damaged(
            "source_damaged", f"The stored file of call {row.attempt_id} is not what the ledger says: restore it first."
        )
    return sound

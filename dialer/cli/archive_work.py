"""What the commands of `waihu archive` stand on: ledger, directories, keys, progress bar."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from dialer.cli.office import Office, actor, now
from dialer.db import audit_trail
from dialer.domain.errors import BadRequest
from recorder.archive.bucket import Bucket, Place, Stored
from recorder.archive.building import ArchiveSettings
from recorder.archive.building import Progress as Advance
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.volume import DiscCopy
from recorder.file_keys import FileKeys

if TYPE_CHECKING:
    from recorder.ledger import Conn

Label = Annotated[str, typer.Argument(help="Label of the volume, W000001.")]
Name = Annotated[str, typer.Argument(help="Name of the copy, W000001-2.")]
From = Annotated[
    str | None, typer.Option("--from", help="A drive (/dev/sr0), or an image; default: copies that lie in folders.")
]


async def keys_of(office: Office) -> FileKeys | None:
    """What seals the rows on volumes: as recordings are, or not at all."""
    if not office.settings.recording_encryption:
        return None
    async with office.pool.acquire() as conn:
        await office.deps.file_keys.prepare(conn, at=now())
    return office.deps.file_keys


def settings_of(office: Office) -> ArchiveSettings:
    """Where volumes are built, and from what."""
    return ArchiveSettings(archive_dir=office.settings.archive_dir, store_dir=office.settings.store_dir)


def source_of(given: str | None) -> Path | None:
    """Where a drive or an image is read."""
    return None if given is None else Path(given.removeprefix("stdio:"))


def place_of(given: str) -> Path | Place:
    """A folder, or a bucket. ArchiveError `bucket_address_invalid`."""
    return Place.of(given) if given.startswith("s3://") else Path(given)


def all_of(given: str) -> list[Path | Stored]:
    """What to rebuild from: a drive or an image, or every image in a bucket's folder. Blocking. ArchiveError, BadRequest `bucket_empty`."""
    if not given.startswith("s3://"):
        return [source_of(given) or Path(given)]
    place = Place.of(given)
    found = Bucket(place.bucket).images(place.prefix)
    if not found:
        raise BadRequest("bucket_empty", f"There is no image in {given}: is it the folder that was given to --to?")
    return list(found)


def at_hand(copy: DiscCopy) -> Path | Stored | None:
    """Where a copy is read without hands; None for a disc."""
    if copy.location is None or copy.kind == "disc":
        return None
    return Stored.at(copy.location) if copy.kind == "s3" else Path(copy.location)


def day_of(office: Office, day: str | None) -> tuple[Any, Any]:
    """Begin and end of a day in the business zone, or of all time. BadRequest `day_invalid`."""
    if day is None:
        return None, None
    try:
        since = datetime.fromisoformat(day).replace(tzinfo=office.settings.business_zone)
    except ValueError:
        raise BadRequest("day_invalid", f"{day!r} is no day: 2026-03-10.") from None
    return since, since + timedelta(days=1)


def ledger_of(office: Office) -> ArchiveLedger:
    """The ledger in the name of the machine's user, with audit rows."""

    async def audit(conn: Conn, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        entry = audit_trail.Entry(
            at=now(), user_id=None, actor=actor(), address=None, action=action, subject_type="archive", subject_id=subject, detail=dict(detail),
        )  # fmt: skip
        await audit_trail.write(conn, entry)

    return ArchiveLedger(pool=office.pool, clock=now, by=getpass.getuser(), audit=audit)


@contextmanager
def bar(*, shown: bool) -> Iterator[Advance]:
    """A progress bar on standard error, in bytes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task("archive", total=None)

        def advance(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=max(total, done))

        yield advance

"""Brings a volume from its plan to a checked image, step by step, each of them safe to be the last.

rows frozen → described (catalogue, page, manifests, signature) → image → error correction → read back. What is built depends on the frozen rows, the
store's files and the signing key only, so a run after a kill makes the same image, bit for bit.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder import storing
from recorder.archive import catalogue, correction
from recorder.archive.bag import About, close_bag, hash_of
from recorder.archive.erasing import ArchiveKeys, wrap_for_disc
from recorder.archive.image import write_image
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.media import Medium, fits
from recorder.archive.reading import Fault, read_volume
from recorder.archive.signing import load_key
from recorder.archive.states import VolumeEvent, VolumeState
from recorder.archive.volume import Item, Volume
from recorder.errors import ArchiveError, Damaged, KeysRefused
from recorder.file_keys import FileKeys, unwrapped
from recorder.paths import locate
from recorder.sealing import Seal
from recorder.spool import sync_directory

if TYPE_CHECKING:
    from asyncpg import Record

Progress = Callable[[str, int, int], None]
"""Told of a volume's phase, bytes done in it, and bytes in all."""

_BLOCK: Final = 4 << 20
_NAMED: Final = 5
_MOST_STEPS: Final = 12
"""Of a build: four, and twice more for an image that was found wrong."""


class Step(StrEnum):
    """Steps that are done, in their order."""

    ROWS_WRITTEN = "rows_written"
    FROZEN = "frozen"
    DESCRIBED = "described"
    IMAGE_WRITTEN = "image_written"
    IMAGED = "imaged"
    CORRECTION_ADDED = "correction_added"
    PROTECTED = "protected"
    READ_BACK = "read_back"
    CHECKED = "checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """Where volumes are built, where recordings lie, and the key that signs."""

    archive_dir: Path
    store_dir: Path

    @property
    def key_file(self) -> Path:
        """Made at the first use."""
        return self.archive_dir / "signing.key"

    def work(self, label: str) -> Path:
        """A volume's work directory."""
        return self.archive_dir / "work" / label

    def image(self, label: str) -> Path:
        """A volume's image while it is in the work directory."""
        return self.work(label) / f"{label}.iso"


@contextmanager
def alone(archive_dir: Path) -> Iterator[None]:
    """Nobody else builds or writes here meanwhile; the lock goes with the process. Raises ArchiveError `archive_in_use`, `archive_dir_refused`."""
    try:
        archive_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(archive_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ArchiveError(
            "archive_dir_refused", f"The archive directory cannot be used ({error}): check rights and mounts."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(
                "archive_in_use", f"Another command works in {archive_dir}: wait until it is done."
            ) from None
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds volumes. `mask` hides a number as the floor does; `archive_keys` let what is sealed be opened from the volume alone; with `keys` the rows
    are sealed; `on_step` hears of each step (tests that kill).
    """

    ledger: ArchiveLedger
    settings: ArchiveSettings
    mask: Callable[[str], str]
    archive_keys: ArchiveKeys
    keys: FileKeys | None = None
    progress: Progress = lambda _phase, _done, _total: None
    on_step: Callable[[Step], None] = lambda _step: None

    async def build(self, volume: Volume) -> Volume:
        """Until it is checked (or was already), or given up because recordings of it were deleted since.

        Raises ArchiveError: `source_damaged`, `recording_key_damaged` name the calls that spoil it; it is given up, the others are free for another.
        """
        for _ in range(_MOST_STEPS):
            match volume.state:
                case VolumeState.PLANNED:
                    volume = await self._freeze(volume)
                case VolumeState.FROZEN:
                    volume = await self._image(volume)
                case VolumeState.IMAGED:
                    volume = await self._protect(volume)
                case VolumeState.PROTECTED:
                    volume = await self._check(volume)
                case VolumeState.CHECKED | VolumeState.SEALED | VolumeState.VOID:
                    return volume
        raise ArchiveError(
            "archive_image_wrong",
            f"The image of {volume.label} is not what was written, again and again, though the stored files are good: check the disk of {self.settings.archive_dir}.",
        )

    async def _freeze(self, volume: Volume) -> Volume:
        work = self.settings.work(volume.label)
        rows, project = work / catalogue.ROWS, work / catalogue.PROJECT
        work.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir(mode=0o700, exist_ok=True)  # numbers in clear lie here
        if not rows.exists():
            part = rows.with_suffix(".part")
            master = (await self.keys.ring()).current if self.keys else None
            refused: list[UUID] = []
            wrapped = await self._wrapped(volume, refused)
            await self.ledger.freeze(volume, part, project, master=master, keys=wrapped)
            if refused:
                part.unlink()
                raise await self._given_up(
                    volume, refused, "recording_key_damaged", "The wrapped key of {calls} in the ledger does not open: restore the rows of a backup."
                )  # fmt: skip
            for path in (project, part):
                _sync(path)
            part.replace(rows)
            sync_directory(work)
        self.on_step(Step.ROWS_WRITTEN)
        sha256 = bytes.fromhex(await asyncio.to_thread(hash_of, rows))
        volume = await self.ledger.move(volume, VolumeEvent.FROZEN, rows_sha256=sha256)
        self.on_step(Step.FROZEN)
        return volume

    async def _wrapped(self, volume: Volume, refused: list[UUID]) -> Callable[[Record], str | None]:
        """Gives a row's key as the volume will hold it; None for what is not sealed, and for what does not open: those calls are added to `refused`.

        Raises KeysRefused, ArchiveError (those of `ArchiveKeys.tree`).
        """
        async with self.ledger.pool.acquire() as conn:
            await self.archive_keys.prepare(conn, at=self.ledger.clock())
            of_project = await self.archive_keys.keys.of_project(conn, volume.project_id)
        tree = await self.archive_keys.tree()
        leaves = await asyncio.to_thread(lambda: list(tree.leaves(volume.id, volume.recordings)))

        def wrapped(row: Record) -> str | None:
            project_key = of_project.get(row["project_key_id"])
            leaf = None if row["number"] is None else leaves[row["number"]]
            if project_key is None or row["wrapped_key"] is None or leaf is None:
                return None
            try:
                seal = unwrapped(project_key, row["attempt_id"], row["wrapped_key"])
            except KeysRefused:
                refused.append(row["attempt_id"])
                return None
            return wrap_for_disc(leaf, volume.id, seal.attempt_id, seal.key)

        return wrapped

    async def _image(self, volume: Volume) -> Volume:
        if gone := await self.ledger.not_stored(volume.id):
            return await give_up(self.ledger, self.settings, volume, f"deleted since: {_named(gone)}")
        items = await self.ledger.items(volume.id)
        if odd := await asyncio.to_thread(_odd, self.settings.store_dir, items):
            raise await self._given_up(volume, odd, "source_damaged", _SOURCE_DAMAGED)
        size, sha256 = await asyncio.to_thread(self._write_image, volume, await self._seal(volume))
        self.on_step(Step.IMAGE_WRITTEN)
        if not fits(Medium(volume.medium), size):
            await give_up(self.ledger, self.settings, volume, f"{size} bytes do not fit a {volume.medium}")
            raise ArchiveError(
                "medium_too_small",
                f"{volume.label} does not fit a {volume.medium}: its rows have grown since it was planned. It is given up and planned anew.",
            )
        volume = await self.ledger.move(volume, VolumeEvent.IMAGED, data_bytes=size, data_sha256=sha256)
        self.on_step(Step.IMAGED)
        return volume

    async def _seal(self, volume: Volume) -> Seal | None:
        """What the rows were to be sealed with when they were frozen. Raises KeysRefused."""
        project = self.settings.work(volume.label) / catalogue.PROJECT
        if volume.rows_sha256 is None or not await asyncio.to_thread(project.exists):
            return None
        master = json.loads(await asyncio.to_thread(project.read_text, encoding="utf-8"))["rows_master"]
        if master is None:
            return None
        if self.keys is None:
            raise ArchiveError(
                "archive_keys_missing",
                f"The rows of {volume.label} are to be sealed: the keys of recordings are needed.",
            )
        return catalogue.rows_seal(volume.id, await self.keys.ring(), master=master, rows_sha256=volume.rows_sha256)

    def _write_image(self, volume: Volume, seal: Seal | None) -> tuple[int, bytes]:
        work = self.settings.work(volume.label)
        rows, bag = work / catalogue.ROWS, work / "bag"
        if volume.rows_sha256 is None or not rows.exists() or bytes.fromhex(hash_of(rows)) != volume.rows_sha256:
            raise Damaged(
                "work_damaged", f"The work directory of {volume.label} is damaged: give the volume up, and plan again."
            )
        shutil.rmtree(bag, ignore_errors=True)
        data = bag / "data"
        (data / catalogue.FOLDER).mkdir(parents=True)
        catalogue.put_rows(rows, data / catalogue.FOLDER, seal)
        project = json.loads((work / catalogue.PROJECT).read_text(encoding="utf-8"))
        mask = self.mask if project["mask_numbers"] else str
        lines = catalogue.describe(rows, project, data, volume.label, mask)
        about = About(
            label=volume.label,
            volume_id=str(volume.id),
            project_id=str(volume.project_id),
            expiry_year=volume.expiry_year,
            created_at=volume.created_at,
            rows_sha256=volume.rows_sha256,
        )
        close_bag(bag, about, lines, load_key(self.settings.key_file))
        self.on_step(Step.DESCRIBED)
        files = [(path.relative_to(bag).as_posix(), path) for path in sorted(bag.rglob("*")) if path.is_file()]
        files += [
            (f"data/{line.file}", locate(self.settings.store_dir, line.file.removeprefix("recordings/")))
            for line in lines
        ]
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self.progress("image", done, volume.bytes)

        return write_image(
            self.settings.image(volume.label),
            label=volume.label,
            created_at=volume.created_at,
            files=files,
            progress=count,
        )

    async def _protect(self, volume: Volume) -> Volume:
        image = self.settings.image(volume.label)
        if not await asyncio.to_thread(_begins_with, image, volume.data_bytes or 0, volume.data_sha256):
            return await self.ledger.move(volume, VolumeEvent.FOUND_WRONG)
        self.progress("correction", 0, volume.bytes)
        size = await asyncio.to_thread(correction.protect, image, volume.data_bytes or 0)
        self.on_step(Step.CORRECTION_ADDED)
        sha256 = bytes.fromhex(await asyncio.to_thread(hash_of, image))
        volume = await self.ledger.move(volume, VolumeEvent.PROTECTED, image_bytes=size, image_sha256=sha256)
        self.on_step(Step.PROTECTED)
        return volume

    async def _check(self, volume: Volume) -> Volume:
        image = self.settings.image(volume.label)
        if not image.exists():
            return await self.ledger.move(volume, VolumeEvent.FOUND_WRONG)
        faults = await check(self.ledger, volume, image, self.progress)
        self.on_step(Step.READ_BACK)
        if faults:
            await self._blame(volume, faults)
            image.unlink()
            return await self.ledger.move(volume, VolumeEvent.FOUND_WRONG)
        volume = await self.ledger.move(volume, VolumeEvent.CHECKED)
        await asyncio.to_thread(shutil.rmtree, self.settings.work(volume.label) / "bag", ignore_errors=True)
        self.on_step(Step.CHECKED)
        return volume

    async def _blame(self, volume: Volume, faults: tuple[Fault, ...]) -> None:
        """A stored file that is not what the ledger says spoils its volume for good: doubt it and free the others for another volume."""
        named = {fault.path for fault in faults}
        bad = []
        for item in await self.ledger.items(volume.id):
            if catalogue.RECORDINGS + item.path in named:
                file = locate(self.settings.store_dir, item.path)
                if not await asyncio.to_thread(storing.holds, file, size=item.bytes, sha256=item.sha256):
                    bad.append(item.attempt_id)
        if bad:
            raise await self._given_up(volume, bad, "source_damaged", _SOURCE_DAMAGED)

    async def _given_up(self, volume: Volume, calls: list[UUID], error_id: str, problem: str) -> Damaged:
        """Set these calls aside (doubted: no candidates any more) and free the others; gives the error that says so."""
        async with self.ledger.pool.acquire() as conn:
            await conn.execute(_DOUBT, calls)
        named = f"{len(calls)} calls ({_named(calls)})"
        await give_up(self.ledger, self.settings, volume, f"{error_id}: {_named(calls)}")
        return Damaged(
            error_id,
            f"{problem.format(calls=named)} Volume {volume.label} is given up; the others will be on the next.",
        )


async def give_up(ledger: ArchiveLedger, settings: ArchiveSettings, volume: Volume, reason: str) -> Volume:
    """Its recordings are free for another volume, and what was built of it goes. Raises ArchiveError `archive_step_refused`."""
    volume = await ledger.move(volume, VolumeEvent.GIVEN_UP, reason=reason)
    await asyncio.to_thread(shutil.rmtree, settings.work(volume.label), ignore_errors=True)
    return volume


async def clear_given_up(ledger: ArchiveLedger, settings: ArchiveSettings) -> None:
    """Remove the work directories of volumes that were given up: a run that was at one of them may have left it behind."""
    work = settings.work("")
    labels = await asyncio.to_thread(lambda: [one.name for one in work.iterdir()] if work.is_dir() else [])
    for label in await ledger.given_up(labels):
        await asyncio.to_thread(shutil.rmtree, settings.work(label))


_SOURCE_DAMAGED: Final = "The store's file of {calls} is not what the ledger says: restore them."
_DOUBT: Final = "update recordings set verified_at = null where attempt_id = any($1) and state = 'stored'"


async def check(ledger: ArchiveLedger, volume: Volume, source: Path, progress: Progress) -> tuple[Fault, ...]:
    """Read an image or disc of a volume and compare it with everything the ledger knows; nothing is changed."""
    recordings = {catalogue.RECORDINGS + item.path: item.sha256.hex() for item in await ledger.items(volume.id)}
    total, done = volume.image_bytes or 0, 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress("reading", done, total)

    reading = await asyncio.to_thread(
        read_volume, source, image_bytes=total, sha256=volume.image_sha256, recordings=recordings, progress=count
    )
    return reading.faults


def _named(calls: list[UUID]) -> str:
    return ", ".join(map(str, calls[:_NAMED])) + (" ..." if len(calls) > _NAMED else "")


def _odd(store: Path, items: list[Item]) -> list[UUID]:
    """Calls whose file is not there, or has another size: what costs nothing to see before hours of work. Blocking."""
    return [item.attempt_id for item in items if _size(locate(store, item.path)) != item.bytes]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _begins_with(image: Path, size: int, sha256: bytes | None) -> bool:
    """Whether the first bytes of the image are those that were written; what a broken-off correction has appended does not matter."""
    if not image.exists() or image.stat().st_size < size:
        return False
    digest, left = hashlib.sha256(), size
    with image.open("rb") as file:
        while left:
            block = file.read(min(_BLOCK, left))
            digest.update(block)
            left -= len(block)
    return digest.digest() == sha256


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

"""Copies of a volume: written to a disc or a folder, read again, repaired, and kept account of. A copy counts only after it was re-read."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from recorder.archive import correction
from recorder.archive.bucket import Bucket, Place, Stored
from recorder.archive.building import ArchiveSettings, Progress, check
from recorder.archive.drive import Drive
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.nameplate import Nameplate, identify, nameplate_of, read_nameplate
from recorder.archive.reading import Fault, readable_blocks
from recorder.archive.states import CopyEvent, CopyState, VolumeEvent, VolumeState
from recorder.archive.volume import DiscCopy, Volume
from recorder.errors import ArchiveError, Damaged
from recorder.spool import sync_directory

_BLOCK: Final = 4 << 20
_NAMED: Final = 20
_READABLE: Final = frozenset({CopyState.WRITTEN, CopyState.VERIFIED, CopyState.DAMAGED})
PROLONG_BEFORE: Final = timedelta(days=60)
"""So long before a lock in a bucket ends it is looked at again."""


class Step(StrEnum):
    """Steps that are done, in their order."""

    SENT = "sent"  # into a bucket
    WRITTEN = "written"
    LEDGERED = "ledgered"
    READ = "read"
    VERIFIED = "verified"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Writes and reads copies. `on_step` hears of each step (tests that kill)."""

    ledger: ArchiveLedger
    settings: ArchiveSettings
    progress: Progress = lambda _phase, _done, _total: None
    on_step: Callable[[Step], None] = lambda _step: None

    async def burn(self, copy: DiscCopy, drive: Drive) -> DiscCopy:
        """Write a wanted copy to the blank disc in a drive. A disc that already is this copy (a run was killed) is taken as written.

        Raises ArchiveError: those of `Drive.burn`, and `image_missing` when there is neither image nor good copy to take it from.
        """
        volume = await self.ledger.volume(copy.label)
        found = await asyncio.to_thread(drive.inserted)
        if found is None or found.blank or not await self._holds(volume, copy, drive.path):
            image = await self.image(volume)
            self.progress("burning", 0, volume.image_bytes or 0)
            await asyncio.to_thread(_burn, drive, image, nameplate_of(volume, copy))
        return await self._written(copy, "disc", drive.address)

    async def put_into(self, copy: DiscCopy, folder: Path) -> DiscCopy:
        """Write a wanted copy as an image into a folder. Raises ArchiveError `archive_folder_refused`, `image_missing`."""
        volume = await self.ledger.volume(copy.label)
        target = folder / f"{copy.name}.iso"
        if not await self._holds(volume, copy, target):
            image = await self.image(volume)
            try:
                await asyncio.to_thread(_copy_file, image, target, nameplate_of(volume, copy), self.progress)
            except OSError as error:
                raise ArchiveError("archive_folder_refused", f"{folder} does not take the volume ({error}).") from error
        return await self._written(copy, "folder", str(target))

    async def put_into_bucket(self, copy: DiscCopy, place: Place) -> DiscCopy:
        """Put a wanted copy into a bucket, locked until the volume's recordings are over. What a killed run has sent is not sent again.

        Raises ArchiveError: those of `Bucket`, `image_missing`.
        """
        volume = await self.ledger.volume(copy.label)
        image, lock = await self.image(volume), await self.ledger.lock_wanted(volume)
        told = _counted(self.progress, "sending", volume.image_bytes or 0)
        sha256 = volume.image_sha256 or b""
        stored = await asyncio.to_thread(Bucket(place.bucket).put, place.key(copy.name), image, sha256, lock, told)
        self.on_step(Step.SENT)
        copy = await self._written(copy, "s3", stored.location)
        if lock.held:
            await self.ledger.noted(copy, "held", {})
        return copy

    async def keep_locked(self, copy: DiscCopy) -> None:
        """Mirror legal holds to a copy in a bucket, and prolong its lock before it ends. A lock is never shortened.

        A hold in the bucket that the ledger did not place is never lifted: it is of before the ledger was lost, or put back from a backup. Raises
        ArchiveError `hold_unknown` then, and those of `Bucket`.
        """
        stored, volume = Stored.at(copy.location or ""), await self.ledger.volume(copy.label)
        bucket, held = Bucket(stored.bucket), await self.ledger.is_held(volume)
        now, ours = await asyncio.to_thread(bucket.lock_of, stored), await self.ledger.hold_is_ours(copy)
        if held and not (now.held and ours):
            await asyncio.to_thread(lambda: bucket.hold(stored, held=True))
            await self.ledger.noted(copy, "held", {})
        elif now.held and not held and ours:
            await asyncio.to_thread(lambda: bucket.hold(stored, held=False))
            await self.ledger.noted(copy, "hold_lifted", {})
        if now.until is None or now.until - self.ledger.clock() <= PROLONG_BEFORE:
            wanted = await self.ledger.lock_wanted(volume)
            if wanted.until is not None and (now.until is None or wanted.until > now.until):
                wanted = replace(wanted, compliance=wanted.compliance or now.compliance)
                await asyncio.to_thread(bucket.lock, stored, wanted)
                await self.ledger.noted(copy, "locked", {"until": str(wanted.until), "mode": wanted.mode})
        if now.held and not held and not ours:
            raise ArchiveError(
                "hold_unknown",
                f"{stored.location} is under a legal hold that the ledger does not know: was the ledger lost, or put back from a backup? It stays. "
                "Place the hold again (waihu retention hold); where it is over, lift it then.",
            )

    async def remove(self, copy: DiscCopy, reason: str) -> DiscCopy:
        """Delete a copy from its bucket when its day is over. Raises ArchiveError `bucket_locked` before, and those of `Bucket`."""
        stored = Stored.at(copy.location or "")
        with suppress(Damaged):  # it is not there any more: a run was killed
            await asyncio.to_thread(lambda: Bucket(stored.bucket).remove(stored, now=self.ledger.clock()))
        return await self.ledger.happened(copy, CopyEvent.DESTROYED, detail={"reason": reason})

    async def _written(self, copy: DiscCopy, kind: str, location: str) -> DiscCopy:
        self.on_step(Step.WRITTEN)
        if copy.state is CopyState.WANTED:
            copy = await self.ledger.happened(
                copy, CopyEvent.WRITTEN, detail={"location": location}, kind=kind, location=location, written_at=self.ledger.clock(),
            )  # fmt: skip
        self.on_step(Step.LEDGERED)
        return copy

    async def verify(
        self, copy: DiscCopy, source: Path | Stored, *, name_seen: bool = False
    ) -> tuple[DiscCopy, tuple[Fault, ...]]:
        """Read a copy from its medium, every byte, and note what was found. When all copies that are wanted are verified the volume is sealed.

        A medium that is another, or none, says nothing of this copy: nothing is noted. `name_seen`: somebody has read the name on a disc that does not
        say which it is. Raises ArchiveError `archive_step_refused`, `medium_missing`, `wrong_disc`, `disc_unnamed`, those of `Bucket`.
        """
        if copy.state in {CopyState.WANTED, CopyState.DESTROYED}:
            raise ArchiveError("archive_step_refused", f"Copy {copy.name} is {copy.state}: there is nothing to read.")
        volume = await self.ledger.volume(copy.label)
        await asyncio.to_thread(identify, volume, copy, source, name_seen)
        faults = await self._faults(volume, source)
        self.on_step(Step.READ)
        if faults:
            detail = {"faults": [f"{fault.path}: {fault.problem}" for fault in faults[:_NAMED]], "in_all": len(faults)}
            return await self.ledger.happened(copy, CopyEvent.FOUND_DAMAGED, detail=detail), faults
        copy = await self.ledger.happened(copy, CopyEvent.VERIFIED, detail={}, verified_at=self.ledger.clock())
        self.on_step(Step.VERIFIED)
        await self.seal(volume)
        return copy, ()

    async def seal(self, volume: Volume) -> Volume:
        """Seal a checked volume whose wanted copies are verified; the image in the work directory goes."""
        verified = [one for one in await self.ledger.copies(volume.id) if one.state is CopyState.VERIFIED]
        if volume.state is VolumeState.CHECKED and len(verified) >= volume.copies_wanted:
            volume = await self.ledger.move(volume, VolumeEvent.COPIES_VERIFIED)
            self.on_step(Step.SEALED)
        waiting = any(one.state is CopyState.WANTED for one in await self.ledger.copies(volume.id))
        if volume.state is VolumeState.SEALED and not waiting:
            await asyncio.to_thread(shutil.rmtree, self.settings.work(volume.label), ignore_errors=True)
        return volume

    async def _holds(self, volume: Volume, copy: DiscCopy, source: Path) -> bool:
        """Whether there lies this very copy, whole."""
        try:
            plate = await asyncio.to_thread(read_nameplate, source, volume.image_bytes or 0)
        except OSError:
            return False
        return plate == nameplate_of(volume, copy) and not await self._faults(volume, source)

    async def _faults(self, volume: Volume, source: Path | Stored) -> tuple[Fault, ...]:
        if isinstance(source, Stored):
            told = _counted(self.progress, "reading", volume.image_bytes or 0)
            return await asyncio.to_thread(_object_faults, volume, source, told)
        return await check(self.ledger, volume, source, self.progress)

    async def image(self, volume: Volume, source: Path | None = None) -> Path:
        """The volume's image in the work directory; taken from `source`, or from a copy in a folder or a bucket, and repaired where it is damaged.

        Raises ArchiveError `image_missing`, `volume_beyond_repair`.
        """
        image = self.settings.image(volume.label)
        if image.exists() and not await self._faults(volume, image):
            os.truncate(image, volume.image_bytes or 0)  # of the nameplate of a run that was killed while it burned
            return image
        if await self._mended(volume, image):
            return image
        sources = await self._copies_at_hand(volume) if source is None else await _there([source])
        if not sources:
            if source is None:
                await self._build_again(volume)
            raise ArchiveError(
                "image_missing",
                f"The image of {volume.label} is not here any more: put one of its discs into a drive and name the drive.",
            )
        beyond: Damaged | None = None
        for one in sources:
            try:
                await self._take(volume, one, image)
            except Damaged as error:
                beyond = error
                continue
            if not await self._faults(volume, image) or await self._mended(volume, image):
                return image
        image.unlink(missing_ok=True)
        raise beyond or Damaged("volume_beyond_repair", f"No copy of {volume.label} at hand gives it back as it was.")

    async def _mended(self, volume: Volume, image: Path) -> bool:
        """Whether error correction gives an image back as it was."""
        repaired = await asyncio.to_thread(_repaired, image, volume.image_bytes or 0)
        return repaired and not await self._faults(volume, image)

    async def _build_again(self, volume: Volume) -> None:
        """Of a volume that nothing was written of yet the image is built again. Raises ArchiveError `archive_image_wrong`, which says so."""
        copies = await self.ledger.copies(volume.id)
        if volume.state is VolumeState.CHECKED and all(one.state is CopyState.WANTED for one in copies):
            await self.ledger.move(volume, VolumeEvent.FOUND_WRONG)
            raise ArchiveError(
                "archive_image_wrong",
                f"The image of {volume.label} is not what was written any more, or is gone: the next run builds it again. Check the disk of {self.settings.archive_dir}.",
            )

    async def _take(self, volume: Volume, source: Path | Stored, image: Path) -> None:
        if isinstance(source, Stored):
            told = _counted(self.progress, "reading", volume.image_bytes or 0)
            await asyncio.to_thread(Bucket(source.bucket).download, source, image, told)
        else:
            await asyncio.to_thread(_take_image, source, image, volume.image_bytes or 0, self.progress)

    async def _copies_at_hand(self, volume: Volume) -> list[Path | Stored]:
        """Copies that need no hands: those in folders first."""
        copies = [one for one in await self.ledger.copies(volume.id) if one.location and one.state in _READABLE]
        folders = [Path(one.location or "") for one in copies if one.kind == "folder"]
        return await _there(folders) + [Stored.at(one.location or "") for one in copies if one.kind == "s3"]


async def _there(paths: Sequence[Path]) -> list[Path | Stored]:
    return [path for path in paths if await asyncio.to_thread(path.exists)]


def _counted(progress: Progress, phase: str, total: int) -> Callable[[int], None]:
    """Tells the progress how much there is in all."""
    done = 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        progress(phase, done, total)

    return told


def _object_faults(volume: Volume, stored: Stored, told: Callable[[int], None]) -> tuple[Fault, ...]:
    """Read an object, every byte. What has changed in it is named when its image is fetched. Blocking."""
    # Of a volume whose ledger was rebuilt the hash does not cover the error correction at the end.
    digest, left = hashlib.sha256(), volume.image_bytes or 0
    try:
        for block in Bucket(stored.bucket).blocks(stored, told):
            digest.update(block[:left])
            left = max(0, left - len(block))
    except Damaged as error:
        return (Fault(path=stored.location, problem=error.message),)
    if left or digest.digest() != volume.image_sha256:
        return (Fault(path=stored.location, problem="is not what was written: its hash is another"),)
    return ()


def _repaired(image: Path, size: int) -> bool:
    """Whether error correction is content with an image now. Blocking."""
    if not image.exists() or image.stat().st_size < size:
        return False
    os.truncate(image, size)
    try:
        correction.repair(image)
    except Damaged:
        return False
    return True


def _burn(drive: Drive, image: Path, plate: Nameplate) -> None:
    """The image goes onto the disc with the nameplate behind it, and stays without."""
    try:
        with image.open("r+b") as file:
            file.seek(plate.image_bytes)
            file.write(plate.sectors())
        drive.burn(image)
    finally:
        os.truncate(image, plate.image_bytes)


def _copy_file(image: Path, target: Path, plate: Nameplate, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    total, done = image.stat().st_size, 0
    try:
        with image.open("rb") as source, part.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
                done += len(block)
                progress("copying", done, total)
            file.write(plate.sectors())
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        sync_directory(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _take_image(source: Path, image: Path, size: int, progress: Progress) -> None:
    """Copy a volume's bytes from a medium; sectors that cannot be read become zeros, which error correction knows to be wrong. Blocking."""
    image.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = image.with_name(image.name + ".part")
    done = 0
    with part.open("wb") as file:
        for block in readable_blocks(source, size):
            file.write(block)
            done += len(block)
            progress("reading", done, size)
        file.flush()
        os.fsync(file.fileno())
    part.replace(image)

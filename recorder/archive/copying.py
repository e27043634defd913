"""Copies of a volume: written to a disc or a folder, read again, repaired, and kept account of. A copy counts only after it was re-read."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from recorder.archive import correction
from recorder.archive.building import ArchiveSettings, Progress, check
from recorder.archive.drive import Drive
from recorder.archive.ledger import ArchiveLedger, DiscCopy, Volume
from recorder.archive.reading import Fault, readable_blocks
from recorder.archive.states import CopyEvent, CopyState, VolumeEvent, VolumeState
from recorder.errors import ArchiveError, Damaged
from recorder.spool import sync_directory

_BLOCK: Final = 4 << 20
_NAMED: Final = 20


class Step(StrEnum):
    """Steps that are done, in their order."""

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
        """Write a wanted copy to the blank disc in a drive. A disc that already holds the volume (a run was killed) is taken as written.

        Raises ArchiveError: those of `Drive.burn`, and `image_missing` when there is neither image nor good copy to take it from.
        """
        volume = await self.ledger.volume(copy.label)
        found = await asyncio.to_thread(drive.inserted)
        if found is None or found.blank or await self._faults(volume, drive.path):
            image = await self.image(volume)
            self.progress("burning", 0, volume.image_bytes or 0)
            await asyncio.to_thread(drive.burn, image)
        return await self._written(copy, "disc", drive.address)

    async def put_into(self, copy: DiscCopy, folder: Path) -> DiscCopy:
        """Write a wanted copy as an image into a folder. Raises ArchiveError `archive_folder_refused`, `image_missing`."""
        volume = await self.ledger.volume(copy.label)
        target = folder / f"{copy.name}.iso"
        if not target.exists() or await self._faults(volume, target):
            image = await self.image(volume)
            try:
                await asyncio.to_thread(_copy_file, image, target, self.progress)
            except OSError as error:
                raise ArchiveError("archive_folder_refused", f"{folder} does not take the volume ({error}).") from error
        return await self._written(copy, "folder", str(target))

    async def _written(self, copy: DiscCopy, kind: str, location: str) -> DiscCopy:
        self.on_step(Step.WRITTEN)
        if copy.state is CopyState.WANTED:
            copy = await self.ledger.happened(
                copy, CopyEvent.WRITTEN, detail={"location": location}, kind=kind, location=location, written_at=self.ledger.clock(),
            )  # fmt: skip
        self.on_step(Step.LEDGERED)
        return copy

    async def verify(self, copy: DiscCopy, source: Path) -> tuple[DiscCopy, tuple[Fault, ...]]:
        """Read a copy from its medium, every byte, and note what was found. When all copies that are wanted are verified the volume is sealed."""
        if copy.state in {CopyState.WANTED, CopyState.DESTROYED}:
            raise ArchiveError("archive_step_refused", f"Copy {copy.name} is {copy.state}: there is nothing to read.")
        volume = await self.ledger.volume(copy.label)
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

    async def _faults(self, volume: Volume, source: Path) -> tuple[Fault, ...]:
        return await check(self.ledger, volume, source, self.progress)

    async def image(self, volume: Volume, source: Path | None = None) -> Path:
        """The volume's image in the work directory; taken from `source`, or from a copy in a folder, and repaired where it is damaged.

        Raises ArchiveError `image_missing`, `volume_beyond_repair`.
        """
        image = self.settings.image(volume.label)
        if image.exists() and not await self._faults(volume, image):
            return image
        copies = [
            Path(one.location) for one in await self.ledger.copies(volume.id) if one.kind == "folder" and one.location
        ]
        sources = [path for path in ([source] if source else copies) if path.exists()]
        if not sources:
            raise ArchiveError(
                "image_missing",
                f"The image of {volume.label} is not here any more: put one of its discs into a drive and name the drive.",
            )
        beyond: Damaged | None = None
        for one in sources:
            await asyncio.to_thread(_take_image, one, image, volume.image_bytes or 0, self.progress)
            if not await self._faults(volume, image):
                return image
            try:
                await asyncio.to_thread(correction.repair, image)
            except Damaged as error:
                beyond = error
                continue
            if not await self._faults(volume, image):
                return image
        image.unlink(missing_ok=True)
        raise beyond or Damaged("volume_beyond_repair", f"No copy of {volume.label} at hand gives it back as it was.")


def _copy_file(image: Path, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    total, done = image.stat().st_size, 0
    try:
        with image.open("rb") as source, part.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
                done += len(block)
                progress("copying", done, total)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        sync_directory(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _take_image(source: Path, image: Path, size: int, progress: Progress) -> None:
    """Copy a volume's bytes from a medium; sectors that cannot be read become zeros, which error correction knows to be wrong. Blocking."""
    image.parent.mkdir(parents=True, exist_ok=True)
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

"""One run of the rotation: go on with what was begun, plan what is due, build, write copies, read them again, seal.

Everything it knows is in the ledger and the work directory, so it may be killed at any moment and started again. Where a disc has to be put in it asks
the operator, and goes on with the next volume when nobody answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from recorder.archive.bucket import Bucket, Place, Stored
from recorder.archive.building import Builder, clear_given_up
from recorder.archive.copying import Copier
from recorder.archive.drive import Drive
from recorder.archive.ledger import DiscCopy, Volume
from recorder.archive.media import Medium
from recorder.archive.planner import plan
from recorder.archive.states import CopyState, VolumeState
from recorder.errors import ArchiveError, Damaged

Ask = Callable[[DiscCopy, Drive, bool], Awaitable[bool]]
"""Asks for a copy's disc in a drive (True: a blank one); answers whether it lies there now."""

_OPEN = (VolumeState.PLANNED, VolumeState.FROZEN, VolumeState.IMAGED, VolumeState.PROTECTED, VolumeState.CHECKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where copies go: the n-th to the n-th folder or bucket, else to the drive. Neither: volumes are built and wait.

    `drive`: an address; `{name}` in it stands for the copy's name (a stdio "jukebox").
    """

    places: tuple[Path | Place, ...] = ()
    drive: str = ""

    def drive_of(self, copy: DiscCopy) -> Drive:
        """The drive for a copy. Raises ArchiveError `drive_address_invalid`."""
        return Drive(self.drive.replace("{name}", copy.name))


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did, and what waits for a person."""

    planned: list[str] = field(default_factory=list)
    built: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


async def rotate(
    builder: Builder,
    copier: Copier,
    targets: Targets,
    *,
    ask: Ask,
    medium: Medium,
    today: date,
    wait: timedelta,
    project_id: UUID | None = None,
    room: int | None = None,
) -> Report:
    """Do all of it once. A volume with a problem does not stop the others: it is in the report."""
    report, ledger = Report(), builder.ledger
    for place in targets.places:
        if isinstance(place, Place):  # before hours of building
            await asyncio.to_thread(Bucket(place.bucket).check)
    await clear_given_up(ledger, builder.settings)
    # What lies on open volumes is no candidate any more, so planning first changes nothing for them.
    candidates = await ledger.candidates(project_id=project_id)
    for batch in plan(candidates, medium, today=today, wait=wait, room=room):
        report.planned.append((await ledger.open_volume(batch)).label)
    for waiting in reversed(await ledger.volumes(_OPEN)):
        try:
            volume = await builder.build(waiting)
            if waiting.state is not VolumeState.CHECKED:
                report.built.append(volume.label)
        except ArchiveError as error:
            report.problems.append(f"{waiting.label}: {error.error_id}: {error.message}")
    for volume in reversed(await ledger.volumes([VolumeState.CHECKED, VolumeState.SEALED])):
        for copy in await ledger.copies(volume.id):
            try:
                await _bring_on(copier, targets, copy, ask, report)
            except ArchiveError as error:
                report.problems.append(f"{copy.name}: {error.error_id}: {error.message}")
        await _seal(copier, volume, report)
    return report


async def _seal(copier: Copier, volume: Volume, report: Report) -> None:
    after = await copier.seal(await copier.ledger.volume(volume.label))
    if after.state is VolumeState.SEALED and volume.state is VolumeState.CHECKED:
        report.sealed.append(volume.label)


async def _bring_on(copier: Copier, targets: Targets, copy: DiscCopy, ask: Ask, report: Report) -> None:
    """A wanted copy is written, a written one read again. A verified, lent or bad one is left alone, but for its lock."""
    if copy.kind == "s3" and copy.state in {CopyState.WRITTEN, CopyState.VERIFIED}:
        await copier.keep_locked(copy)
    if copy.lent_to is not None or copy.state not in {CopyState.WANTED, CopyState.WRITTEN}:
        return
    place = targets.places[copy.number - 1] if copy.number <= len(targets.places) else None
    if copy.state is CopyState.WANTED and isinstance(place, Place):
        copy = await copier.put_into_bucket(copy, place)
    elif copy.state is CopyState.WANTED and isinstance(place, Path):
        copy = await copier.put_into(copy, place)
    elif copy.state is CopyState.WANTED and targets.drive:
        drive = targets.drive_of(copy)
        if await ask(copy, drive, True):
            copy = await copier.burn(copy, drive)
    if copy.state is CopyState.WRITTEN and copy.kind == "folder" and copy.location:
        await _verify(copier, copy, Path(copy.location))
    elif copy.state is CopyState.WRITTEN and copy.kind == "s3" and copy.location:
        await _verify(copier, copy, Stored.at(copy.location))
    elif copy.state is CopyState.WRITTEN and targets.drive:
        drive = targets.drive_of(copy)
        if await ask(copy, drive, False):
            await _verify(copier, copy, drive.path)
    if (await copier.ledger.copy(copy.name)).state in {CopyState.WANTED, CopyState.WRITTEN}:
        report.waiting.append(copy.name)


async def _verify(copier: Copier, copy: DiscCopy, source: Path | Stored) -> None:
    _, faults = await copier.verify(copy, source)
    if faults:
        named = "; ".join(f"{fault.path}: {fault.problem}" for fault in faults[:3])
        raise Damaged("copy_damaged", f"The copy is not what was written ({named}): throw it away and make another.")


async def wait_for_disc(drive: Drive, *, blank: bool, patience_s: float, look_every_s: float) -> bool:
    """Whether such a disc lies in the drive, looking again until the patience is over."""
    for _ in range(max(1, int(patience_s / look_every_s) + 1)):
        found = await asyncio.to_thread(drive.inserted)
        if found is not None and found.blank is blank:
            return True
        if patience_s <= 0:
            return False
        await asyncio.sleep(look_every_s)
    return False

"""One run of the rotation: go on with what was begun, plan what is due, build, write copies, read them again, seal.

Everything it knows is in the ledger and the work directory, so it may be killed at any moment and started again. Where a disc has to be put in it asks
the operator, and goes on with the next volume when nobody answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from recorder.archive.bucket import Bucket, Place, Stored
from recorder.archive.building import Builder, clear_given_up
from recorder.archive.copying import Copier
from recorder.archive.drive import Drive
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.media import Medium
from recorder.archive.planner import Batch, plan
from recorder.archive.standing import thin
from recorder.archive.states import CopyState, VolumeState
from recorder.archive.volume import DiscCopy, Volume
from recorder.errors import Damaged, RecorderError

Ask = Callable[[DiscCopy, Drive, bool], Awaitable[bool]]
"""Asks for a copy's disc in a drive (True: a blank one); answers whether it lies there now."""

_ROUNDS = 3
"""So often a run plans anew for what was on volumes that had to be given up."""
_BEING_BUILT = (VolumeState.PLANNED, VolumeState.FROZEN, VolumeState.IMAGED, VolumeState.PROTECTED, VolumeState.CHECKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where copies go: the n-th to the n-th folder or bucket, one more in the place of another to where no good one lies, else to the drive.
    Neither: volumes are built and wait.

    `drive`: an address; `{name}` in it stands for the copy's name (a stdio "jukebox").
    """

    places: tuple[Path | Place, ...] = ()
    drive: str = ""

    def drive_of(self, copy: DiscCopy) -> Drive:
        """The drive for a copy. Raises ArchiveError `drive_address_invalid`."""
        return Drive(self.drive.replace("{name}", copy.name))

    def place_of(self, copy: DiscCopy, others: Sequence[DiscCopy]) -> Path | Place | None:
        """The folder or bucket for a wanted copy, beside the volume's other copies; None: the drive, if there is one."""
        taken = {at for one in others if one.id != copy.id and (at := self._index_of(one)) is not None}
        first = copy.number - 1
        free = [at for at in (first, *range(len(self.places))) if at < len(self.places) and at not in taken]
        return self.places[free[0]] if free else None

    def _index_of(self, copy: DiscCopy) -> int | None:
        """Which of the places a copy has: the one it lies in, or is meant for."""
        if copy.state is CopyState.WANTED:
            return copy.number - 1
        if copy.state not in {CopyState.WRITTEN, CopyState.VERIFIED} or copy.kind == "disc":
            return None
        return next((at for at, place in enumerate(self.places) if _lies_in(copy, place)), None)


def _lies_in(copy: DiscCopy, place: Path | Place) -> bool:
    if isinstance(place, Path):
        return copy.kind == "folder" and Path(copy.location or "").parent == place
    if copy.kind != "s3":
        return False
    stored = Stored.at(copy.location or "")
    return (stored.bucket, stored.key) == (place.bucket, place.key(copy.name))


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
    try:
        await clear_given_up(ledger, builder.settings)
    except OSError as error:
        report.problems.append(_problem("what was given up", error))
    tried = set[UUID]()
    for _ in range(_ROUNDS):
        # What lies on open volumes is no candidate any more, so planning first changes nothing for them.
        candidates = await ledger.candidates(project_id=project_id)
        await _open(ledger, plan(candidates, medium, today=today, wait=wait, room=room), report)
        if not await _build(builder, report, tried):
            break
    for volume in await ledger.unfinished(await asyncio.to_thread(_begun, builder.settings.archive_dir)):
        for copy in await ledger.copies(volume.id):
            for work in (partial(_keep_locked, copier, copy), partial(_bring_on, copier, targets, copy, ask, report)):
                try:
                    await work()
                except (RecorderError, OSError) as error:
                    report.problems.append(_problem(copy.name, error))
        try:
            await _seal(copier, volume, report)
        except (RecorderError, OSError) as error:
            report.problems.append(_problem(volume.label, error))
    report.problems += [one.said for one in await thin(ledger.pool) if one.coming < one.wanted]
    return report


async def _open(ledger: ArchiveLedger, batches: Iterable[Batch], report: Report) -> None:
    for batch in batches:
        try:
            report.planned.append((await ledger.open_volume(batch)).label)
        except RecorderError as error:
            report.problems.append(_problem("plan", error))


async def _build(builder: Builder, report: Report, tried: set[UUID]) -> bool:
    """Build what was not tried in this run. Gives whether a volume was given up, so that its other recordings are to be planned again."""
    given_up = False
    for waiting in reversed(await builder.ledger.volumes(_BEING_BUILT, limit=None)):
        if waiting.id in tried:
            continue
        tried.add(waiting.id)
        try:
            volume = await builder.build(waiting)
            if volume.state is VolumeState.CHECKED and waiting.state is not VolumeState.CHECKED:
                report.built.append(volume.label)
        except (RecorderError, OSError) as error:
            report.problems.append(_problem(waiting.label, error))
        given_up = given_up or (await builder.ledger.volume(waiting.label)).state is VolumeState.VOID
    return given_up


def _problem(what: str, error: RecorderError | OSError) -> str:
    if isinstance(error, RecorderError):
        return f"{what}: {error.error_id}: {error.message}"
    return f"{what}: the disk does not do it ({error}): see mounts, rights and free space."


def _begun(archive_dir: Path) -> list[str]:
    """Labels that have a work directory. Blocking."""
    work = archive_dir / "work"
    return [path.name for path in work.iterdir()] if work.is_dir() else []


async def _seal(copier: Copier, volume: Volume, report: Report) -> None:
    after = await copier.seal(await copier.ledger.volume(volume.label))
    if after.state is VolumeState.SEALED and volume.state is VolumeState.CHECKED:
        report.sealed.append(volume.label)


async def _keep_locked(copier: Copier, copy: DiscCopy) -> None:
    if copy.kind == "s3" and copy.state in {CopyState.WRITTEN, CopyState.VERIFIED}:
        await copier.keep_locked(copy)


async def _bring_on(copier: Copier, targets: Targets, copy: DiscCopy, ask: Ask, report: Report) -> None:
    """A wanted copy is written, a written one read again. A verified, lent or bad one is left alone."""
    if copy.lent_to is not None or copy.state not in {CopyState.WANTED, CopyState.WRITTEN}:
        return
    place = targets.place_of(copy, await copier.ledger.copies(copy.volume_id))
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

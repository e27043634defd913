"""An archive to test in: a store with recordings, a ledger, a work directory, discs that are files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from recorder.archive import building, copying
from recorder.archive.building import ArchiveSettings, Builder
from recorder.archive.copying import Copier
from recorder.archive.drive import Drive
from recorder.archive.erasing import ArchiveKeys
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.media import Medium
from recorder.archive.planner import plan
from recorder.archive.restoring import Restorer
from recorder.archive.signing import own
from recorder.archive.states import CopyState
from recorder.archive.volume import Volume
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.removals import Removals
from tests.recorder.archive_builders import a_stored_recording, recording_id
from tests.recorder.builders import a_project, now

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


def mask(number: str) -> str:
    """As the floor masks."""
    return number[:6] + "****" + number[-4:]


async def no_audit(*_: object) -> None:
    """Audit rows are the API's and the command line's."""


@dataclass(slots=True)
class House:
    """All of it under one directory."""

    pool: Pool
    root: Path
    keys: FileKeys | None = None
    clock: Callable[[], datetime] = now
    audited: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    on_audit: Callable[[str], None] = lambda _action: None
    """Hears of what is about to be committed."""

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def settings(self) -> ArchiveSettings:
        return ArchiveSettings(archive_dir=self.root / "archive", store_dir=self.store)

    @property
    def ledger(self) -> ArchiveLedger:
        async def audit(_conn: Any, action: str, subject: str, detail: Mapping[str, Any]) -> None:
            self.audited.append((action, subject, detail))
            self.on_audit(action)

        return ArchiveLedger(pool=self.pool, clock=self.clock, by="test", audit=audit)

    @property
    def archive_keys(self) -> ArchiveKeys:
        keys = self.keys or FileKeys(KeySource(path=self.root / "recording.keys"))
        return ArchiveKeys(path=self.root / "archive.keys", keys=keys)

    def builder(self, on_step: Callable[[building.Step], None] = lambda _: None) -> Builder:
        return Builder(
            ledger=self.ledger,
            settings=self.settings,
            mask=mask,
            archive_keys=self.archive_keys,
            keys=self.keys,
            on_step=on_step,
        )

    def copier(self, on_step: Callable[[copying.Step], None] = lambda _: None) -> Copier:
        return Copier(ledger=self.ledger, settings=self.settings, on_step=on_step)

    def restorer(self, source: Path | None = None) -> Restorer:
        return Restorer(ledger=self.ledger, settings=self.settings, source=source)

    @property
    def removals(self) -> Removals:
        return Removals(
            pool=self.pool, store_dir=self.store, clock=now, by="test", audit=no_audit, erase=self.archive_keys.erase
        )

    @property
    def signers(self) -> set[str]:
        """Whose volumes are believed."""
        return own(self.settings.key_file)

    def drive(self, disc: str) -> Drive:
        """A drive with a disc in it; a name that was never used is a blank one."""
        (self.root / "discs").mkdir(parents=True, exist_ok=True)
        return Drive(f"stdio:{self.root / 'discs' / disc}")

    async def recordings(self, count: int = 5, *, first: int = 1) -> list[UUID]:
        await a_project(self.pool)
        return [await a_stored_recording(self.pool, self.store, number) for number in range(first, first + count)]

    async def planned(self, medium: Medium = Medium.CD) -> Volume:
        """The one volume of all candidates, waiting or not."""
        candidates = await self.ledger.candidates()
        [batch] = plan(candidates, medium, today=self.clock().date(), wait=timedelta(days=-1))
        return await self.ledger.open_volume(batch)

    async def checked(self) -> Volume:
        return await self.builder().build(await self.planned())

    async def sealed(self) -> Volume:
        """Burned twice, re-read, sealed."""
        volume = await self.checked()
        for copy in await self.ledger.copies(volume.id):
            drive = self.drive(copy.name)
            written = await self.copier().burn(copy, drive)
            _, faults = await self.copier().verify(written, drive.path)
            assert faults == ()
        sealed = await self.ledger.volume(volume.label)
        assert {one.state for one in await self.ledger.copies(volume.id)} == {CopyState.VERIFIED}
        return sealed

    async def release(self, calls: list[UUID]) -> int:
        done = await self.removals.release([await recording_id(self.pool, call) for call in calls])
        return done.recordings

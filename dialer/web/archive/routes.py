"""Archive: volumes, the ledger of discs, what may leave the store and what comes back. Building and burning are the command line's: `waihu archive run`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dialer.domain.errors import Conflict, NotFound
from dialer.web.api import operation
from dialer.web.archive.types import (
    Copy,
    CopyEvent,
    CopyHistory,
    CopyName,
    DueQuery,
    KeepAt,
    Label,
    Lend,
    Planned,
    PlanQuery,
    Release,
    Released,
    Restored,
    Space,
    Volume,
    Why,
)
from dialer.web.call import Call
from dialer.web.identity import actor_of
from dialer.web.retention.routes import remover
from dialer.web.roles import KEEPERS, KEEPING_READERS
from recorder import ledger, releasable
from recorder.archive import building, sampling
from recorder.archive.building import ArchiveSettings
from recorder.archive.ledger import ArchiveLedger
from recorder.archive.media import Medium
from recorder.archive.planner import plan as plan_volumes
from recorder.archive.restoring import Restorer
from recorder.archive.states import CopyEvent as Happened
from recorder.archive.states import CopyState
from recorder.archive.volume import DiscCopy
from recorder.archive.volume import Volume as VolumeRow
from recorder.settings import RecorderSettings
from recorder.space import read_free

if TYPE_CHECKING:
    from recorder.ledger import Conn


_UNREAD = frozenset({CopyState.WRITTEN, CopyState.DAMAGED})


@operation("GET", "/archive/volumes", roles=KEEPING_READERS, summary="List archive volumes")
async def list_volumes(call: Call) -> list[Volume]:
    """The newest thousand."""
    return [shown(volume) for volume in await ledger_of(call).volumes()]


@operation("GET", "/archive/volumes/{label}", roles=KEEPING_READERS, summary="An archive volume")
async def get_volume(call: Call, label: Label) -> Volume:
    """By its label."""
    return shown(await _volume(call, label))


@operation("GET", "/archive/plan", roles=KEEPING_READERS, summary="Volumes that would be built now", timeout_s=300)
async def plan(call: Call, query: PlanQuery) -> list[Planned]:
    """Changes nothing."""
    batches = plan_volumes(
        await ledger_of(call).candidates(),
        Medium(query.medium),
        today=call.now.date(),
        wait=timedelta(days=query.wait_days),
    )
    return [
        Planned(
            project_id=batch.project_id,
            expiry_year=batch.expiry_year,
            medium=batch.medium,
            recordings=len(batch.recordings),
            bytes=batch.bytes,
        )
        for batch in batches
    ]


@operation("POST", "/archive/volumes/{label}/give-up", roles=KEEPERS, summary="Give a volume up before it is sealed")
async def give_up(call: Call, label: Label, body: Why) -> Volume:
    """Its recordings are free for another; what was built of it is removed."""
    settings = ArchiveSettings(archive_dir=call.deps.archive_dir, store_dir=call.deps.store_dir)
    return shown(await building.give_up(ledger_of(call), settings, await _volume(call, label), body.reason))


@operation("POST", "/archive/volumes/{label}/copies", roles=KEEPERS, summary="Want one more copy", status=201)
async def want_copy(call: Call, label: Label) -> Copy:
    """In the place of one that is lost or bad; the next run makes it."""
    return _copy(await ledger_of(call).want_another(await _volume(call, label)))


@operation("GET", "/archive/copies", roles=KEEPING_READERS, summary="The ledger of discs")
async def list_copies(call: Call) -> list[Copy]:
    """Every copy of every volume, by name."""
    return [_copy(copy) for copy in await ledger_of(call).copies()]


@operation("GET", "/archive/copies/{name}", roles=KEEPING_READERS, summary="A copy and its life")
async def get_copy(call: Call, name: CopyName) -> CopyHistory:
    """Everything that happened to it, oldest first."""
    copy = await _disc(call, name)
    return CopyHistory(disc=_copy(copy), events=[CopyEvent(**row) for row in await ledger_of(call).history(copy)])


@operation("PUT", "/archive/copies/{name}/place", roles=KEEPERS, summary="Say where a copy lies and who keeps it")
async def keep_at(call: Call, name: CopyName, body: KeepAt) -> Copy:
    """The old place stays in its life."""
    return _copy(await ledger_of(call).keep_at(await _disc(call, name), custodian=body.custodian, place=body.place))


@operation("POST", "/archive/copies/{name}/lend", roles=KEEPERS, summary="Lend a copy")
async def lend(call: Call, name: CopyName, body: Lend) -> Copy:
    """It does not count until it is back and re-read."""
    return _copy(await ledger_of(call).lend(await _disc(call, name), body.to))


@operation("POST", "/archive/copies/{name}/return", roles=KEEPERS, summary="Take a copy back")
async def take_back(call: Call, name: CopyName) -> Copy:
    """It counts again when it was re-read."""
    return _copy(await ledger_of(call).take_back(await _disc(call, name)))


@operation("POST", "/archive/copies/{name}/lost", roles=KEEPERS, summary="Report a copy lost")
async def lost(call: Call, name: CopyName, body: Why) -> Copy:
    """It counts no more; want another."""
    return await _happened(call, name, Happened.LOST, body.reason)


@operation("POST", "/archive/copies/{name}/destroyed", roles=KEEPERS, summary="Report a copy destroyed")
async def destroyed(call: Call, name: CopyName, body: Why) -> Copy:
    """After its year is over, or because it is bad. One in a bucket is deleted by `waihu archive destroyed`, which then says so here."""
    if (await _disc(call, name)).kind == "s3":
        raise Conflict("copy_in_bucket", "This copy lies in a bucket: waihu archive destroyed deletes it there.")
    return await _happened(call, name, Happened.DESTROYED, body.reason)


@operation("GET", "/archive/due", roles=KEEPING_READERS, summary="Copies to read again")
async def due(call: Call, query: DueQuery) -> list[Copy]:
    """Those that do not count until they are read (burned, returned, found damaged: another drive may read it), those whose year is over, and a sample of
    each batch; the same seed on the same day gives the same sample.
    """
    every = await ledger_of(call).copies()
    unread = {copy.id for copy in every if copy.state in _UNREAD and copy.lent_to is None}
    copies = [copy for copy in every if copy.state is CopyState.VERIFIED]
    discs = [
        sampling.Disc(copy_id=copy.id, batch=f"{copy.written_at:%Y} {copy.place}", verified_on=copy.verified_at.date())
        for copy in copies
        if copy.verified_at
    ]
    chance = random.Random(query.seed)  # noqa: S311  # a sample that can be drawn again
    chosen = set(sampling.due(discs, today=query.day or call.now.date(), chance=chance))
    return [_copy(copy) for copy in every if copy.id in unread | chosen]


@operation("POST", "/archive/release", roles=KEEPERS, summary="Let go of store files that discs have", timeout_s=300)
async def release(call: Call, body: Release) -> Released:
    """Only what enough verified copies in our hands have, oldest first; never under hold. The ledger row stays, `archived`."""
    before = call.now - timedelta(days=body.older_than_days)
    done = await remover(call).make_room(before=before, at_least_bytes=body.free_bytes, most=body.most)
    more = done.more and (body.free_bytes is None or done.bytes < body.free_bytes)
    return Released(recordings=done.recordings, bytes=done.bytes, more=more, stuck=len(done.stuck))


@operation("GET", "/archive/space", roles=KEEPING_READERS, summary="How long the store lasts", timeout_s=120)
async def space(call: Call) -> Space:
    """Free bytes, a day's use, what may leave, and the days that come of it."""
    async with call.connection() as conn:
        sums = await releasable.tiers(conn)
        a_day = await ledger.bytes_since(conn, call.now - timedelta(days=1))
    free = (await asyncio.to_thread(read_free, call.deps.store_dir, call.deps.store_dir)).store_bytes or 0
    floor = RecorderSettings(spool_dir=call.deps.store_dir, store_dir=call.deps.store_dir).store_floor_bytes
    usable = max(0, free - floor)
    return Space(
        store_free_bytes=free,
        store_bytes=sums.store_bytes,
        archived_bytes=sums.archived_bytes,
        not_on_volumes_bytes=sums.not_on_volumes_bytes,
        bytes_a_day=a_day,
        days_left=usable / a_day if a_day else None,
        releasable_bytes=sums.releasable_bytes,
        days_left_after_release=(usable + sums.releasable_bytes) / a_day if a_day else None,
    )


@operation("POST", "/calls/{call_id}/restore", roles=KEEPERS, summary="Bring a recording back", timeout_s=120)
async def restore(call: Call, call_id: UUID) -> Restored:
    """From a copy in a folder; a disc is put into a drive and read by `waihu archive restore`."""
    settings = ArchiveSettings(archive_dir=call.deps.archive_dir, store_dir=call.deps.store_dir)
    done = await Restorer(ledger=ledger_of(call), settings=settings).call(call_id)
    return Restored(restored=done.restored, there=done.there)


def ledger_of(call: Call) -> ArchiveLedger:
    """The ledger in the caller's name; what changes leaves an audit row in the same transaction."""

    async def audit(conn: Conn, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        await call.audit(conn, action, "archive", subject, **detail)

    return ArchiveLedger(pool=call.deps.pool, clock=call.deps.clock, by=actor_of(call.caller), audit=audit)


async def _happened(call: Call, name: str, event: Happened, reason: str) -> Copy:
    return _copy(await ledger_of(call).happened(await _disc(call, name), event, detail={"reason": reason}))


async def _volume(call: Call, label: str) -> VolumeRow:
    found = await ledger_of(call).find_volume(label)
    if found is None:
        raise NotFound("volume_unknown", f"There is no volume {label}: see the list of volumes.")
    return found


async def _disc(call: Call, name: str) -> DiscCopy:
    found = await ledger_of(call).find_copy(name)
    if found is None:
        raise NotFound("copy_unknown", f"There is no copy {name}: its name is a label and a number, W000001-1.")
    return found


def shown(volume: VolumeRow) -> Volume:
    """A volume as a client sees it."""
    values = {name: value for name, value in asdict(volume).items() if name in Volume.model_fields}
    return Volume(**{**values, "image_sha256": volume.image_sha256.hex() if volume.image_sha256 else None})


def _copy(copy: DiscCopy) -> Copy:
    values = {name: value for name, value in asdict(copy).items() if name in Copy.model_fields}
    return Copy(name=copy.name, **values)

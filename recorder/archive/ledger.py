"""The ledger of volumes and discs: each statement above the method that runs it. What changes something leaves its audit row in the same transaction."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from recorder import keeping
from recorder.archive.bucket import Lock
from recorder.archive.planner import NO_YEAR, Batch, Candidate
from recorder.archive.states import COPY_MOVES, VOLUME_MOVES, CopyEvent, CopyState, VolumeEvent, VolumeState, after
from recorder.archive.volume import DiscCopy, Item, Volume
from recorder.errors import ArchiveError
from recorder.retention.policy import LockMode

if TYPE_CHECKING:
    from asyncpg import Record

    from recorder.ledger import Conn, LedgerPool

_ROWS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLedger:
    """Reads and writes the ledger in somebody's name. `audit` gets action, subject (a label) and detail, inside the transaction."""

    pool: LedgerPool
    clock: Callable[[], datetime]
    by: str
    audit: Callable[[Conn, str, str, Mapping[str, Any]], Awaitable[None]]

    async def candidates(self, *, project_id: UUID | None = None) -> list[Candidate]:
        """Verified recordings in the store that are on no volume."""
        found = []
        async with self.pool.acquire() as conn:
            async for page in keeping.kept(conn, states=["stored"], project_id=project_id):
                there = {row["recording_id"] for row in await conn.fetch(_ON_VOLUMES, [one.id for one in page])}
                free = [one for one in page if one.verified and one.id not in there]
                rows = {row["id"]: row["bytes"] for row in await conn.fetch(_ROW_BYTES, [one.id for one in free])}
                for one in free:
                    if one.id in rows:
                        expires = one.verdict(one.day).expires
                        found.append(
                            Candidate(
                                recording_id=one.id,
                                project_id=one.project_id,
                                expiry_year=expires.year if expires else NO_YEAR,
                                day=one.day,
                                bytes=one.bytes,
                                row_bytes=rows[one.id],
                            )
                        )
        return found

    async def open_volume(self, batch: Batch) -> Volume:
        """Write a planned volume with its items and the copies it wants. Raises ArchiveError `plan_outdated` when something has changed since."""
        at = self.clock()
        async with self.pool.acquire() as conn, conn.transaction():
            await keeping.lock_shared(conn)
            kept = await keeping.kept_for_update(conn, batch.recordings, states=["stored"])
            taken = await conn.fetch(_ON_VOLUMES, list(batch.recordings))
            if len(kept) != len(batch.recordings) or taken or not all(one.verified for one in kept):
                raise ArchiveError("plan_outdated", "Recordings of this plan have changed since: plan again.")
            wanted = max((one.policy.copies if one.policy else 2) for one in kept)
            row = await conn.fetchrow(
                _OPEN, batch.project_id, batch.expiry_year, batch.medium, len(kept), sum(one.bytes for one in kept),
                wanted, at, self.by,
            )  # fmt: skip
            volume = _volume(row)
            await conn.executemany(
                _ITEM,
                [
                    (volume.id, one.id, one.attempt_id, one.path, one.sha256, one.bytes, number)
                    for number, one in enumerate(sorted(kept, key=lambda one: one.path))
                ],
            )
            await conn.executemany(_WANT_COPY, [(volume.id, number) for number in range(1, wanted + 1)])
            detail = {"recordings": volume.recordings, "bytes": volume.bytes, "medium": volume.medium}
            await self.audit(conn, "volume_planned", volume.label, detail)
        return volume

    async def volume(self, label: str) -> Volume:
        """By its label. Raises ArchiveError `volume_unknown`."""
        found = await self.find_volume(label)
        if found is None:
            raise ArchiveError("volume_unknown", f"There is no volume {label!r}: see waihu archive list.")
        return found

    async def find_volume(self, label: str) -> Volume | None:
        """By its label; None when there is none."""
        row = await self.pool.fetchrow(_BY_LABEL, label)
        return _volume(row) if row is not None else None

    async def volumes(
        self, states: Sequence[VolumeState] = tuple(VolumeState), *, limit: int | None = 1000
    ) -> list[Volume]:
        """In these states, newest label first."""
        return [_volume(row) for row in await self.pool.fetch(_VOLUMES, [str(one) for one in states], limit)]

    async def given_up(self, labels: Sequence[str]) -> list[str]:
        """Those of the labels whose volume was given up."""
        return [row["label"] for row in await self.pool.fetch(_GIVEN_UP, list(labels))]

    async def unfinished(self, begun: Sequence[str]) -> list[Volume]:
        """Volumes with a copy to be written, read again or kept locked, and those of `begun` (labels) that are sealed; oldest label first."""
        return [_volume(row) for row in await self.pool.fetch(_UNFINISHED, list(begun))]

    async def move(self, volume: Volume, event: VolumeEvent, **values: Any) -> Volume:
        """Note what happened to a volume. Raises ArchiveError `archive_step_refused`, also when another was faster."""
        state = after(VOLUME_MOVES, volume.state, event, f"Volume {volume.label}")
        columns = {"state": state, **values}
        if state is VolumeState.SEALED:
            columns["sealed_at"] = self.clock()
        marks = ", ".join(f"{name} = ${n}" for n, name in enumerate(columns, 3))
        async with self.pool.acquire() as conn, conn.transaction():
            row = await conn.fetchrow(
                f"update archive_volumes set {marks} where id = $1 and state = $2 returning {_VOLUME}",  # noqa: S608  # our own column names
                volume.id, volume.state, *columns.values(),
            )  # fmt: skip
            if row is None:
                raise ArchiveError("archive_step_refused", f"Volume {volume.label} has moved on meanwhile: look again.")
            if state is VolumeState.VOID:
                await conn.execute(_VOID_ITEMS, volume.id)
            if state in {VolumeState.SEALED, VolumeState.VOID}:
                await self.audit(conn, f"volume_{state}", volume.label, {"reason": row["reason"]})
        return _volume(row)

    async def items(self, volume_id: UUID) -> list[Item]:
        """The recordings of a volume, in the order of their paths."""
        return [Item(**row) for row in await self.pool.fetch(_ITEMS, volume_id)]

    async def not_stored(self, volume_id: UUID) -> list[UUID]:
        """Calls of a volume whose recording is not in the store any more: it was deleted since."""
        return [row["attempt_id"] for row in await self.pool.fetch(_NOT_STORED, volume_id)]

    async def freeze(
        self, volume: Volume, rows: Path, project: Path, *, master: str | None, keys: Callable[[Record], str | None]
    ) -> bytes:
        """Write the volume's rows and its project's into files and give the rows' SHA-256.

        `master`: the key the rows will be sealed under. `keys`: the recording's key as the volume will hold it, from its `number`, `attempt_id`,
        `project_key_id` and `wrapped_key`.
        """
        digest = hashlib.sha256()
        async with self.pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            with rows.open("wb") as file:  # small writes, between fetches
                async for row in conn.cursor(_FROZEN, volume.id, prefetch=_ROWS_AT_ONCE):
                    # The row stays as PostgreSQL writes it: no number in it is read and written again.
                    line = f'{row["row"][:-1]}, "key": {json.dumps(keys(row))}}}\n'.encode()
                    digest.update(line)
                    file.write(line)
            of_project = await conn.fetchval(_PROJECT, volume.project_id, master)
            await asyncio.to_thread(project.write_text, of_project, encoding="utf-8")
        return digest.digest()

    async def copies(self, volume_id: UUID | None = None) -> list[DiscCopy]:
        """Copies of a volume, or of all, by label and number."""
        return [_copy(row) for row in await self.pool.fetch(_COPIES, volume_id)]

    async def copy(self, name: str) -> DiscCopy:
        """A copy by what is written on it. Raises ArchiveError `copy_unknown`."""
        found = await self.find_copy(name)
        if found is None:
            raise ArchiveError(
                "copy_unknown", f"There is no copy {name!r}: its name is a label and a number, W000001-1."
            )
        return found

    async def find_copy(self, name: str) -> DiscCopy | None:
        """A copy by what is written on it; None when there is none."""
        label, _, number = name.rpartition("-")
        row = await self.pool.fetchrow(_COPY, label, int(number)) if number.isdecimal() and len(number) < 3 else None
        return _copy(row) if row is not None else None

    async def happened(self, copy: DiscCopy, event: CopyEvent, *, detail: Mapping[str, Any], **values: Any) -> DiscCopy:
        """Note what happened to a copy. Raises ArchiveError `archive_step_refused`."""
        state = after(COPY_MOVES, copy.state, event, f"Copy {copy.name}")
        return await self._change(copy, event, detail, state=state, **values)

    async def keep_at(self, copy: DiscCopy, *, custodian: str, place: str) -> DiscCopy:
        """It lies somewhere else now, or somebody else looks after it."""
        return await self._change(
            copy, "moved", {"custodian": custodian, "place": place}, custodian=custodian, place=place
        )

    async def lend(self, copy: DiscCopy, to: str) -> DiscCopy:
        """It is not in our hands: it does not count until it is back. Raises ArchiveError `copy_lent`."""
        if copy.lent_to is not None or copy.state not in {CopyState.WRITTEN, CopyState.VERIFIED}:
            raise ArchiveError("copy_lent", f"{copy.name} cannot be lent: it is {copy.state}, lent to {copy.lent_to}.")
        return await self._change(copy, "lent", {"to": to}, lent_to=to)

    async def take_back(self, copy: DiscCopy) -> DiscCopy:
        """It is back; it counts again when it has been re-read. Raises ArchiveError `copy_not_lent`."""
        if copy.lent_to is None:
            raise ArchiveError("copy_not_lent", f"{copy.name} is not lent.")
        state = CopyState.WRITTEN if copy.state is CopyState.VERIFIED else copy.state
        return await self._change(copy, "returned", {"from": copy.lent_to}, lent_to=None, state=state)

    async def want_another(self, volume: Volume) -> DiscCopy:
        """One more copy of a volume is wanted, in the place of one that is gone or bad. Raises ArchiveError `archive_step_refused`."""
        if volume.state not in {VolumeState.CHECKED, VolumeState.SEALED}:
            raise ArchiveError("archive_step_refused", f"Volume {volume.label} is {volume.state}: no copy can be made.")
        async with self.pool.acquire() as conn, conn.transaction():
            await conn.fetchval("select id from archive_volumes where id = $1 for update", volume.id)
            number = await conn.fetchval("select max(number) + 1 from archive_copies where volume_id = $1", volume.id)
            await conn.execute(_WANT_COPY, volume.id, number)
            await self.audit(conn, "copy_wanted", f"{volume.label}-{number}", {})
        return await self.copy(f"{volume.label}-{number}")

    async def _change(self, copy: DiscCopy, event: str, detail: Mapping[str, Any], **values: Any) -> DiscCopy:
        marks = ", ".join(f"{name} = ${n}" for n, name in enumerate(values, 4))
        async with self.pool.acquire() as conn, conn.transaction():
            await keeping.lock_alone(conn)  # no file is released while what it stands on changes
            done = await conn.execute(
                f"update archive_copies set {marks} where id = $1 and state = $2 and lent_to is not distinct from $3",  # noqa: S608  # our own column names
                copy.id, copy.state, copy.lent_to, *values.values(),
            )  # fmt: skip
            if done != "UPDATE 1":
                raise ArchiveError("archive_step_refused", f"Copy {copy.name} has changed meanwhile: look again.")
            await conn.execute(_EVENT, copy.id, self.clock(), self.by, event, json.dumps(detail, default=str))
            await self.audit(conn, f"copy_{event}", copy.name, detail)
        return await self.copy(copy.name)

    async def noted(self, copy: DiscCopy, event: str, detail: Mapping[str, Any]) -> None:
        """Something happened to a copy that leaves its state."""
        await self._change(copy, event, detail, location=copy.location)

    async def is_held(self, volume: Volume) -> bool:
        """Whether a legal hold covers a recording of a volume."""
        return bool(await self.pool.fetchval(_HELD, volume.project_id, volume.id))

    async def hold_is_ours(self, copy: DiscCopy) -> bool:
        """Whether the last that was done to the hold of a copy in a bucket was that this ledger placed it."""
        return bool(await self.pool.fetchval(_HOLD_OURS, copy.id))

    async def lock_wanted(self, volume: Volume) -> Lock:
        """How a copy in a bucket is to be locked: until the last of its recordings may go, by the project's policy as it is now.

        Where that day is not known, for a year at a time.
        """
        now, until, compliance = self.clock(), None, False
        ids = [item.recording_id for item in await self.items(volume.id)]
        async with self.pool.acquire() as conn:
            for start in range(0, len(ids), keeping.PAGE):
                for one in await keeping.kept_of(
                    conn, ids[start : start + keeping.PAGE], states=["stored", "archived"]
                ):
                    expires = one.verdict(one.day).expires
                    end = one.begin_of(expires) if expires is not None else now + ROLLING
                    until = end if until is None else max(until, end)
                    compliance = compliance or (one.policy is not None and one.policy.lock is LockMode.COMPLIANCE)
        if until is not None and until <= now + SOON:
            until = None
        return Lock(compliance=compliance, until=until, held=await self.is_held(volume))

    async def history(self, copy: DiscCopy) -> list[dict[str, Any]]:
        """What happened to a copy, oldest first."""
        return [{**row, "detail": json.loads(row["detail"])} for row in await self.pool.fetch(_HISTORY, copy.id)]

    async def where_is(self, attempt_id: UUID) -> list[tuple[Item, str]]:
        """A call's recording on volumes: the item and the volume's label, newest first."""
        rows = await self.pool.fetch(_WHERE, attempt_id)
        return [(Item(**{k: v for k, v in row.items() if k != "label"}), row["label"]) for row in rows]


_VOLUMES_OF: Final = "select id from archive_volumes where project_id = $1 and rows_sha256 is not null"


async def volumes_of(conn: Conn, project_id: UUID) -> list[UUID]:
    """The volumes of a project that hold, or may hold, keys of its recordings."""
    return [row["id"] for row in await conn.fetch(_VOLUMES_OF, project_id)]


ROLLING: Final = timedelta(days=366)
SOON: Final = timedelta(hours=1)
"""A lock that ends sooner is none: clocks differ."""

_HELD: Final = """
select exists (select from legal_holds h where h.project_id = $1 and h.lifted_at is null and (
    h.attempt_id is null or exists (select from archive_items i where i.volume_id = $2 and i.attempt_id = h.attempt_id)))
"""
_HOLD_OURS: Final = """
select event = 'held' from archive_copy_events where copy_id = $1 and event in ('held', 'hold_lifted') order by id desc limit 1
"""
_VOLUME: Final = (
    "id, label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by, rows_sha256, data_bytes, "
    "data_sha256, image_bytes, image_sha256, sealed_at, reason"
)
_ON_VOLUMES: Final = "select recording_id from archive_items where recording_id = any($1) and not void"
_OPEN: Final = f"""
insert into archive_volumes (label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by)
values ('W' || lpad(nextval('archive_labels')::text, 6, '0'), $1, $2, $3, 'planned', $4, $5, $6, date_trunc('second', $7::timestamptz), $8)
returning {_VOLUME}
"""  # noqa: S608  # our own column names
_ITEM: Final = """
insert into archive_items (volume_id, recording_id, attempt_id, path, sha256, bytes, number) values ($1, $2, $3, $4, $5, $6, $7)
"""
_VOID_ITEMS: Final = "update archive_items set void = true where volume_id = $1"
_WANT_COPY: Final = "insert into archive_copies (volume_id, number, state) values ($1, $2, 'wanted')"
_BY_LABEL: Final = f"select {_VOLUME} from archive_volumes where label = $1"  # noqa: S608
_GIVEN_UP: Final = "select label from archive_volumes where label = any($1) and state = 'void'"
_VOLUMES: Final = f"select {_VOLUME} from archive_volumes where state = any($1) order by label desc limit $2"  # noqa: S608
_UNFINISHED: Final = f"""
select {_VOLUME} from archive_volumes v where v.state = 'checked' or (v.state = 'sealed' and (v.label = any($1) or exists (
    select from archive_copies c where c.volume_id = v.id and (c.state in ('wanted', 'written') or (c.state = 'verified' and c.kind = 's3')))))
order by v.label
"""  # noqa: S608  # our own column names
_ITEMS: Final = (
    "select recording_id, attempt_id, path, sha256, bytes from archive_items where volume_id = $1 order by path"
)
# Whole rows, whatever columns they have: what is added to a recording tomorrow is on tomorrow's volumes. Never a key as the ledger holds it:
# destroying that one would change nothing on this disc.
_ROW: Final = """
jsonb_build_object('recording', to_jsonb(r) - 'wrapped_key', 'attempt', to_jsonb(a), 'lead', to_jsonb(l), 'waveform', to_jsonb(w))
"""
_OF_ROW: Final = """
join attempts a on a.id = r.attempt_id left join leads l on l.id = a.lead_id left join recording_waveforms w on w.recording_id = r.id
"""
_ROW_BYTES: Final = f"select r.id, octet_length({_ROW}::text) as bytes from recordings r {_OF_ROW} where r.id = any($1)"  # noqa: S608
_FROZEN: Final = f"""
select ({_ROW} || jsonb_build_object('number', i.number))::text as row, i.number, r.attempt_id, r.project_key_id, r.wrapped_key
from archive_items i join recordings r on r.id = i.recording_id {_OF_ROW} where i.volume_id = $1 order by i.path
"""  # noqa: S608  # our own words
_NOT_STORED: Final = """
select i.attempt_id from archive_items i left join recordings r on r.id = i.recording_id
where i.volume_id = $1 and r.state is distinct from 'stored' order by i.path
"""
_PROJECT: Final = """
select (to_jsonb(p) || jsonb_build_object('rows_master', $2::text, 'recording_project_keys', coalesce(
    (select jsonb_agg(to_jsonb(k) - 'wrapped' || jsonb_build_object('destroyed', k.wrapped is null) order by k.id) from recording_project_keys k where k.project_id = p.id), '[]')))::text
from projects p where p.id = $1
"""
_COPY_COLUMNS: Final = """
select c.id, c.volume_id, v.label, c.number, c.state, c.kind, c.location, c.custodian, c.place, c.lent_to, c.written_at, c.verified_at
from archive_copies c join archive_volumes v on v.id = c.volume_id
"""
_COPIES: Final = f"{_COPY_COLUMNS} where $1::uuid is null or c.volume_id = $1 order by v.label, c.number"
_COPY: Final = f"{_COPY_COLUMNS} where v.label = $1 and c.number = $2"
_EVENT: Final = (
    "insert into archive_copy_events (copy_id, at, by, event, detail) values ($1, $2, $3, $4, $5::text::jsonb)"
)
_HISTORY: Final = "select at, by, event, detail::text as detail from archive_copy_events where copy_id = $1 order by id"
_WHERE: Final = """
select i.recording_id, i.attempt_id, i.path, i.sha256, i.bytes, v.label from archive_items i join archive_volumes v on v.id = i.volume_id
where i.attempt_id = $1 and v.state in ('checked', 'sealed') order by v.label desc
"""


def _volume(row: Record | None) -> Volume:
    assert row is not None  # noqa: S101  # `returning` gives the row
    return Volume(**{**row, "state": VolumeState(row["state"])})


def _copy(row: Record) -> DiscCopy:
    return DiscCopy(**{**row, "state": CopyState(row["state"])})

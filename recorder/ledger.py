"""The ledger of recordings: the rows of `recordings`, each statement above the function that runs it.

Of the application's tables it only reads `attempts`, `projects` and `recording_pauses`. jsonb travels as text, whatever codecs the pool has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from recorder.analysis import Analysis, Waveform
from recorder.file_keys import WrappedKey
from recorder.spool import bring_back

if TYPE_CHECKING:
    from asyncpg import Connection, Pool, Record
    from asyncpg.pool import PoolConnectionProxy

    Conn = Connection[Record] | PoolConnectionProxy[Record]
    LedgerPool = Pool[Record]

NOT_RECORDED: Final = "recording_off"
"""The reason that is no alarm: the project does not record."""


class RecordingState(StrEnum):
    """A row's state; the SQL check of the column lists the same."""

    PENDING = "pending"
    STORED = "stored"
    MISSING = "missing"
    POISONED = "poisoned"
    ARCHIVED = "archived"  # on verified archive copies, not in the store any more
    DELETED = "deleted"  # its retention is over


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A row of the ledger. `path` is relative to the store."""

    id: UUID
    attempt_id: UUID
    lead_id: int | None
    project_id: UUID
    agent_id: UUID | None
    state: RecordingState
    reason: str | None
    path: str | None
    sha256: bytes | None
    bytes: int | None
    duration_ms: int | None
    faults: list[dict[str, Any]]
    started_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    verified_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A stretch of a call that was not recorded, in ms from the answer (`to_ms` None: to its end); why, on whose word, and how it ended."""

    from_ms: int
    to_ms: int | None
    reason: str
    note: str
    agent_id: UUID
    started_at: datetime
    ended_at: datetime | None
    ended_by: str | None

    def as_json(self) -> dict[str, Any]:
        """For the ledger's row; times in UTC."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: value.astimezone(UTC).isoformat()
            if isinstance(value, datetime)
            else str(value)
            if isinstance(value, UUID)
            else value
            for name, value in fields.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the intake has to know of an attempt, and how far its recording has come."""

    attempt_id: UUID
    lead_id: int | None
    project_id: UUID
    agent_id: UUID | None
    created_at: datetime
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    zone: str
    record_calls: bool
    state: RecordingState | None
    path: str | None
    sha256: bytes | None
    bytes: int | None
    verified_at: datetime | None
    pauses: tuple[Pause, ...] = ()

    @property
    def business_day(self) -> date:
        """Day of the answer in the project's zone (UTC where the zone is not known here)."""
        try:
            zone: tzinfo = ZoneInfo(self.zone)
        except (ValueError, OSError, KeyError):  # a malformed name, a folder's name, a name that is not known
            zone = UTC
        return (self.answered_at or self.created_at).astimezone(zone).date()

    @property
    def expected_ms(self) -> int | None:
        """Answer to hang-up."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return max(0, round((self.ended_at - self.answered_at) / timedelta(milliseconds=1)))

    @property
    def alone_ms(self) -> int:
        """How long nobody was with the customer after the answer: Asterisk may have begun to write up to so much later."""
        if self.answered_at is None or self.bridged_at is None:
            return 0
        return max(0, round((self.bridged_at - self.answered_at) / timedelta(milliseconds=1)))

    @property
    def paused(self) -> tuple[tuple[int, int], ...]:
        """The stretches that were not recorded, in ms."""
        last = self.expected_ms or 0
        return tuple((one.from_ms, max(one.from_ms, last) if one.to_ms is None else one.to_ms) for one in self.pauses)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """What the store was given for a call."""

    path: str
    sha256: bytes
    content_sha256: bytes
    bytes: int
    content_bytes: int
    duration_ms: int
    faults: list[dict[str, Any]]
    analysis: Analysis | None = None
    key: WrappedKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Answered calls without a recording they should have. Anything but 0 wants a person."""

    missing: int
    poisoned: int
    overdue: int
    damaged: int = 0  # the store's file is not what the ledger says


_CALL = """
select a.id as attempt_id, a.lead_id, a.project_id, a.agent_id, a.created_at, a.answered_at, a.bridged_at, a.ended_at,
       p.zone, p.record_calls, r.state, r.path, r.sha256, r.bytes, r.verified_at
from attempts a join projects p on p.id = a.project_id left join recordings r on r.attempt_id = a.id
where a.id = $1
"""


_PAUSES = """
select from_ms, to_ms, reason, note, agent_id, started_at, ended_at, ended_by from recording_pauses where attempt_id = $1 order by started_at
"""


async def call(conn: Conn, attempt_id: UUID) -> Call | None:
    """The attempt and its recording; None when there is no such attempt."""
    row = await conn.fetchrow(_CALL, attempt_id)
    if row is None:
        return None
    fields = dict(row)
    fields["pauses"] = tuple(Pause(**dict(one)) for one in await conn.fetch(_PAUSES, attempt_id))
    fields["state"] = None if fields["state"] is None else RecordingState(fields["state"])
    return Call(**fields)


_STORED = """
with kept as (
    insert into recordings (attempt_id, lead_id, project_id, agent_id, state, path, sha256, bytes, duration_ms, faults,
                            started_at, ended_at, created_at, customer_ms, agent_ms, customer_first_word_ms, agent_first_word_ms,
                            dead_air_ms, longest_silence_ms, talk_over_ms, talk_overs, longest_monologue_ms, customer_db, agent_db,
                            project_key_id, wrapped_key, content_sha256, content_bytes, pauses, paused_ms)
    values ($1, $2, $3, $4, 'stored', $5, $6, $7, $8, $9::text::jsonb, $10, $11, $12,
            $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $27, $28, $29, $30, $31::text::jsonb, $32)
    on conflict (attempt_id) do update set
        state = 'stored', reason = null, agent_id = excluded.agent_id, path = excluded.path, sha256 = excluded.sha256,
        bytes = excluded.bytes, duration_ms = excluded.duration_ms, faults = excluded.faults, started_at = excluded.started_at,
        ended_at = excluded.ended_at, verified_at = null, customer_ms = excluded.customer_ms, agent_ms = excluded.agent_ms,
        customer_first_word_ms = excluded.customer_first_word_ms, agent_first_word_ms = excluded.agent_first_word_ms,
        dead_air_ms = excluded.dead_air_ms, longest_silence_ms = excluded.longest_silence_ms, talk_over_ms = excluded.talk_over_ms,
        talk_overs = excluded.talk_overs, longest_monologue_ms = excluded.longest_monologue_ms,
        customer_db = excluded.customer_db, agent_db = excluded.agent_db, project_key_id = excluded.project_key_id,
        wrapped_key = excluded.wrapped_key, key_destroyed_at = null, content_sha256 = excluded.content_sha256,
        content_bytes = excluded.content_bytes, pauses = excluded.pauses, paused_ms = excluded.paused_ms
    where recordings.state not in ('archived', 'deleted')
    returning id
), drawn as (
    insert into recording_waveforms (recording_id, each_ms, customer, agent)
    select id, $24, $25, $26 from kept where $24::integer is not null
    on conflict (recording_id) do update set each_ms = excluded.each_ms, customer = excluded.customer, agent = excluded.agent
)
select exists (select from kept)
"""


async def record_stored(conn: Conn, call: Call, file: StoredFile, *, at: datetime) -> bool:
    """The store holds the call's master under its name; not verified yet. False when it is archived or deleted: that stays so."""
    noted = await conn.fetchval(
        _STORED, call.attempt_id, call.lead_id, call.project_id, call.agent_id, file.path, file.sha256, file.bytes,
        file.duration_ms, json.dumps(file.faults), call.answered_at, call.ended_at, at, *_figures(file.analysis),
        *((file.key.project_key_id, file.key.wrapped) if file.key else (None, None)), file.content_sha256, file.content_bytes,
        json.dumps([one.as_json() for one in call.pauses]), sum(stop - start for start, stop in call.paused),
    )  # fmt: skip
    return bool(noted)


_STATE = "select state from recordings where attempt_id = $1 for update"


async def state_for_update(conn: Conn, attempt_id: UUID) -> RecordingState | None:
    """A recording's state, which stays so until the end of the transaction; None when there is no row."""
    state = await conn.fetchval(_STATE, attempt_id)
    return None if state is None else RecordingState(state)


def _figures(analysis: Analysis | None) -> tuple[object, ...]:
    if analysis is None:
        return (None,) * 14
    talk, wave = analysis.talk, analysis.waveform
    return (
        talk.customer_ms, talk.agent_ms, talk.customer_first_word_ms, talk.agent_first_word_ms, talk.dead_air_ms, talk.longest_silence_ms,
        talk.talk_over_ms, talk.talk_overs, talk.longest_monologue_ms, analysis.customer_db, analysis.agent_db,
        wave.each_ms, wave.customer, wave.agent,
    )  # fmt: skip


_WAVEFORM = "select each_ms, customer, agent from recording_waveforms where recording_id = $1"


async def waveform(conn: Conn, recording_id: UUID) -> Waveform | None:
    """The peaks of a recording; None where there are none."""
    row = await conn.fetchrow(_WAVEFORM, recording_id)
    return None if row is None else Waveform(**dict(row))


_VERIFIED = "update recordings set verified_at = $3 where attempt_id = $1 and sha256 = $2 and state = 'stored'"


async def record_verified(conn: Conn, attempt_id: UUID, sha256: bytes, *, at: datetime) -> None:
    """The stored file was read back and is what the ledger says."""
    await conn.execute(_VERIFIED, attempt_id, sha256, at)


_DOUBTED = "update recordings set verified_at = null where attempt_id = $1 and state = 'stored'"


async def record_doubted(conn: Conn, attempt_id: UUID) -> None:
    """The stored file is not what the ledger says."""
    await conn.execute(_DOUBTED, attempt_id)


_WITHOUT = """
insert into recordings (attempt_id, lead_id, project_id, agent_id, state, reason, started_at, ended_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (attempt_id) do update set state = excluded.state, reason = excluded.reason, agent_id = excluded.agent_id
where recordings.state = any($10)
   or (excluded.state = 'poisoned' and recordings.verified_at is null and recordings.state not in ('archived', 'deleted'))
"""

_MAY_BECOME: Final[dict[RecordingState, tuple[RecordingState, ...]]] = {
    RecordingState.PENDING: (RecordingState.PENDING,),
    RecordingState.MISSING: (RecordingState.PENDING,),
    RecordingState.POISONED: (RecordingState.PENDING, RecordingState.MISSING),
}


async def record_without_file(
    conn: Conn, call: Call, state: RecordingState, reason: str | None, *, at: datetime
) -> None:
    """State why a call has no recording (yet). A verified one is never overwritten."""
    await conn.execute(
        _WITHOUT, call.attempt_id, call.lead_id, call.project_id, call.agent_id, state, reason, call.answered_at,
        call.ended_at, at, list(_MAY_BECOME[state]),
    )  # fmt: skip


_COLUMNS = """
select id, attempt_id, lead_id, project_id, agent_id, state, reason, path, sha256, bytes, duration_ms,
       faults::text as faults, started_at, ended_at, created_at, verified_at
from recordings
"""


async def recording(conn: Conn, recording_id: UUID) -> Recording | None:
    """A row by its id."""
    return _recording(await conn.fetchrow(_COLUMNS + "where id = $1", recording_id))


async def recording_of_attempt(conn: Conn, attempt_id: UUID) -> Recording | None:
    """The row of a call."""
    return _recording(await conn.fetchrow(_COLUMNS + "where attempt_id = $1", attempt_id))


def _recording(row: Record | None) -> Recording | None:
    if row is None:
        return None
    fields = dict(row)
    fields["state"] = RecordingState(fields["state"])
    fields["faults"] = json.loads(fields["faults"])
    return Recording(**fields)


_ENDED = """
select w.id from unnest($1::uuid[]) as w(id) left join attempts a on a.id = w.id
where a.id is null or a.ended_at is not null
"""


async def not_live(conn: Conn, attempt_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the attempts that have ended, or that nobody knows."""
    return [row["id"] for row in await conn.fetch(_ENDED, list(attempt_ids))]


_PENDING = """
select r.attempt_id, r.created_at from recordings r join attempts a on a.id = r.attempt_id
where r.state = 'pending' and (r.created_at, r.attempt_id) > ($1, $2) and ($3::text is null or a.node = $3)
order by r.created_at, r.attempt_id limit $4
"""


async def pending(
    conn: Conn, *, after: tuple[datetime, UUID], node: str | None, limit: int
) -> list[tuple[datetime, UUID]]:
    """Calls that wait for their legs or for room, oldest first, from a position on."""
    return [(row["created_at"], row["attempt_id"]) for row in await conn.fetch(_PENDING, *after, node, limit)]


_DOUBTED_ROWS = """
select r.attempt_id from recordings r join attempts a on a.id = r.attempt_id
where r.state = 'stored' and r.verified_at is null and r.created_at < $2 and r.attempt_id > $1 and ($3::text is null or a.node = $3)
order by r.attempt_id limit $4
"""


async def doubted(conn: Conn, *, after: UUID, before: datetime, node: str | None, limit: int) -> list[UUID]:
    """Stored calls of before a moment whose file was not read back, or was found to be another, in the order of their ids."""
    return [row["attempt_id"] for row in await conn.fetch(_DOUBTED_ROWS, after, before, node, limit)]


_ALARM = """
select count(*) filter (where state = 'missing' and reason <> $2) as missing,
       count(*) filter (where state = 'poisoned') as poisoned,
       (select count(*) from recordings where state = 'pending' and created_at < $3) as overdue,
       (select count(*) from recordings where state = 'stored' and verified_at is null and created_at < $3) as damaged
from recordings where attempt_id >= uuid7_floor($1)
"""


async def alarm_count(conn: Conn, *, since: datetime, overdue_before: datetime | None = None) -> Alarm:
    """Count the calls placed since a moment that are without their recording, and all that wait longer than they should."""
    row = await conn.fetchrow(_ALARM, since, NOT_RECORDED, overdue_before or since)
    return (
        Alarm(missing=row["missing"], poisoned=row["poisoned"], overdue=row["overdue"], damaged=row["damaged"])
        if row
        else Alarm(missing=0, poisoned=0, overdue=0)
    )


_BYTES = "select coalesce(sum(bytes), 0)::bigint from recordings where attempt_id >= uuid7_floor($1)"


async def bytes_since(conn: Conn, since: datetime) -> int:
    """Bytes of the masters of calls placed since a moment."""
    return int(await conn.fetchval(_BYTES, since))


_RETRY = "update recordings set state = 'pending', reason = null where attempt_id = $1 and state = 'poisoned'"


_STATE_NOW = "select state from recordings where attempt_id = $1"


async def retry_poisoned(conn: Conn, attempt_id: UUID, spool: Path) -> bool:
    """Give a call that was set aside another try; False when it is not set aside. The reconciler takes it from there.

    Killed between the two, its row waits for legs that still lie aside: then the next try brings these.
    """
    changed = await conn.execute(_RETRY, attempt_id) == "UPDATE 1"
    if not changed and await conn.fetchval(_STATE_NOW, attempt_id) not in {"pending", "missing"}:
        return False
    return bring_back(spool, attempt_id) > 0 or changed

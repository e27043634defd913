"""Calls that were made, their recordings, and sums over them, as the API shows them.

An attempt's id begins with its time, so a span of time is a span of ids, and only the months it touches are read.
"""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """An attempt, whether its project masks numbers, and its recording."""

    id: UUID
    lead_id: int | None
    project_id: UUID
    number: str
    mask_numbers: bool
    node: str
    trunk_id: UUID
    caller_number: str
    mode: str
    agent_id: UUID | None
    state: str
    created_at: datetime
    sent_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    bridged_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    hangup_cause: int | None
    abandoned: bool
    disposition: str | None
    note: str | None
    wrapped_at: datetime | None
    recording_id: UUID | None
    recording_state: str | None


_CALL = """a.id, a.lead_id, a.project_id, a.number, p.mask_numbers, a.node, a.trunk_id, a.caller_number, a.mode, a.agent_id, a.state,
    a.created_at, a.sent_at, a.ringing_at, a.answered_at, a.bridged_at, a.ended_at, a.outcome, a.hangup_cause, a.abandoned,
    a.disposition, a.note, a.wrapped_at, r.id as recording_id, r.state as recording_state"""

CALLS = f"""
select {_CALL} from attempts a
join projects p on p.id = a.project_id
left join recordings r on r.attempt_id = a.id
where ($1::uuid is null or a.id < $1) and ($2::uuid is null or a.project_id = $2) and ($3::uuid is null or a.agent_id = $3)
  and ($4::bigint is null or a.lead_id = $4) and ($5::text is null or a.outcome = $5)
  and ($6::timestamptz is null or a.id >= uuid7_floor($6)) and ($7::timestamptz is null or a.id < uuid7_floor($7))
order by a.id desc limit $8
"""


async def calls(
    conn: Connection, *, before: UUID | None, project_id: UUID | None, agent_id: UUID | None, lead_id: int | None, outcome: str | None,
    since: datetime | None, until: datetime | None, limit: int,
) -> list[CallRow]:  # fmt: skip
    """Calls, newest first."""
    rows = await conn.fetch(CALLS, before, project_id, agent_id, lead_id, outcome, since, until, limit)
    return [CallRow(**dict(row)) for row in rows]


CALL = f"""
select {_CALL} from attempts a
join projects p on p.id = a.project_id
left join recordings r on r.attempt_id = a.id
where a.id = $1
"""


async def call(conn: Connection, attempt_id: UUID) -> CallRow | None:
    """One call."""
    row = await conn.fetchrow(CALL, attempt_id)
    return CallRow(**dict(row)) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRow:
    """A recording and what it belongs to. `path` is relative to the store."""

    id: UUID
    attempt_id: UUID
    lead_id: int | None
    project_id: UUID
    agent_id: UUID | None
    state: str
    reason: str | None
    path: str | None
    sha256: bytes | None
    bytes: int | None
    duration_ms: int | None
    started_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    verified_at: datetime | None
    project_key_id: UUID | None
    wrapped_key: builtins.bytes | None
    key_destroyed_at: datetime | None
    content_sha256: builtins.bytes | None
    content_bytes: int | None
    customer_ms: int | None
    agent_ms: int | None
    customer_first_word_ms: int | None
    agent_first_word_ms: int | None
    dead_air_ms: int | None
    longest_silence_ms: int | None
    talk_over_ms: int | None
    talk_overs: int | None
    longest_monologue_ms: int | None
    customer_db: float | None
    agent_db: float | None
    pauses: list[dict[str, Any]]
    paused_ms: int
    number: str
    disposition: str | None
    note: str
    tags: list[str]
    mask_numbers: bool


RECORDING_COLUMNS = """r.id, r.attempt_id, r.lead_id, r.project_id, r.agent_id, r.state, r.reason, r.path, r.sha256, r.bytes, r.duration_ms,
    r.started_at, r.ended_at, r.created_at, r.verified_at, r.project_key_id,
    r.wrapped_key, r.key_destroyed_at, r.content_sha256, r.content_bytes, r.customer_ms, r.agent_ms, r.customer_first_word_ms, r.agent_first_word_ms,
    r.dead_air_ms, r.longest_silence_ms, r.talk_over_ms, r.talk_overs, r.longest_monologue_ms, r.customer_db, r.agent_db,
    r.pauses, r.paused_ms, r.number, r.disposition, r.note, r.tags, p.mask_numbers"""

RECORDING = f"""
select {RECORDING_COLUMNS} from recordings r
join projects p on p.id = r.project_id
where r.id = $1
"""


async def recording(conn: Connection, recording_id: UUID) -> RecordingRow | None:
    """One recording."""
    row = await conn.fetchrow(RECORDING, recording_id)
    return RecordingRow(**dict(row)) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """How many calls of a project came to an outcome, and how long they talked."""

    outcome: str | None
    attempts: int
    answered: int
    bridged: int
    abandoned: int
    talk_ms: int


SUMMARY = """
select outcome, count(*) as attempts, count(answered_at) as answered, count(bridged_at) as bridged,
    count(*) filter (where abandoned) as abandoned,
    coalesce(sum(greatest(0, extract(epoch from ended_at - bridged_at) * 1000)::bigint), 0)::bigint as talk_ms
from attempts
where project_id = $1 and ($2::timestamptz is null or id >= uuid7_floor($2)) and ($3::timestamptz is null or id < uuid7_floor($3))
group by outcome order by outcome nulls last
"""


async def summary(
    conn: Connection, project_id: UUID, *, since: datetime | None, until: datetime | None
) -> list[OutcomeRow]:
    """By outcome; None is what has not ended yet."""
    return [OutcomeRow(**dict(row)) for row in await conn.fetch(SUMMARY, project_id, since, until)]


DISPOSITIONS = """
select disposition, count(*) as calls from attempts
where project_id = $1 and disposition is not null
  and ($2::timestamptz is null or id >= uuid7_floor($2)) and ($3::timestamptz is null or id < uuid7_floor($3))
group by disposition order by disposition
"""


async def disposition_counts(
    conn: Connection, project_id: UUID, *, since: datetime | None, until: datetime | None
) -> dict[str, int]:
    """How often agents chose each result."""
    return {row["disposition"]: row["calls"] for row in await conn.fetch(DISPOSITIONS, project_id, since, until)}

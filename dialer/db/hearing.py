"""Hearing a recording: what must be known of it, and the audit row of each time. Each statement right above the function that runs it."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments
from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from dialer.db.audit_trail import Entry
from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundRow:
    """What must be known of a recording to hear it, its project's key included (`key_*`: null where it is not sealed). `path` is relative to the store."""

    id: UUID
    attempt_id: UUID
    project_id: UUID
    state: str
    reason: str | None
    path: str | None
    sha256: builtins.bytes | None
    bytes: int | None
    duration_ms: int | None
    ended_at: datetime | None
    created_at: datetime
    content_sha256: builtins.bytes | None
    content_bytes: int | None
    wrapped_key: builtins.bytes | None
    key_id: UUID | None
    key_master: str | None
    key_wrapped: builtins.bytes | None


SOUND = """
select r.id, r.attempt_id, r.project_id, r.state, r.reason, r.path, r.sha256, r.bytes, r.duration_ms, r.ended_at, r.created_at, r.content_sha256,
       r.content_bytes, r.wrapped_key, k.id as key_id, k.master as key_master, k.wrapped as key_wrapped
from recordings r left join recording_project_keys k on k.id = r.project_key_id
where r.id = $1
"""


async def sound(conn: Connection, recording_id: UUID) -> SoundRow | None:
    """One recording to be heard."""
    row = await conn.fetchrow(SOUND, recording_id)
    return SoundRow(**row) if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What whoever listens (the entry's user) must still be: a user under this login with one of these roles, and where they came by a session or a token,
    one that is valid; a session that was used after `seen_after`.
    """

    login: str
    roles: frozenset[str]
    session_hash: builtins.bytes | None = None
    seen_after: datetime | None = None
    token_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Sound that is about to be sent: its audit row, and what the recording and the listener must still be."""

    entry: Entry
    row: SoundRow
    listener: Listener


_OF_A_ROW = {
    "at": "timestamptz", "user_id": "uuid", "actor": "text", "address": "text", "action": "text", "detail": "text", "recording_id": "uuid", "path": "text",
    "sha256": "bytea", "wrapped_key": "bytea", "key_wrapped": "bytea", "login": "text", "roles": "text", "session_hash": "bytea", "seen_after": "timestamptz",
    "token_id": "uuid",
}  # fmt: skip


def _noting(rows: str) -> str:
    """One statement, so that nothing can change between the look and the row: a recording that is gone, erased or another file now, or a listener who may
    not listen any more, gives no row.
    """
    return f"""
with heard as (
    select w.at, w.user_id, w.actor, w.address, w.action, w.detail, w.recording_id, w.place
    from ({rows}) as w ({", ".join(_OF_A_ROW)}, place)
    join recordings r on r.id = w.recording_id left join recording_project_keys k on k.id = r.project_key_id
    where r.state = 'stored' and r.path = w.path and r.sha256 = w.sha256 and r.wrapped_key is not distinct from w.wrapped_key
      and k.wrapped is not distinct from w.key_wrapped
      and exists (select from users u where u.id = w.user_id and u.login = w.login and u.disabled_at is null and u.role = any (string_to_array(w.roles, ' ')))
      and (w.session_hash is null or exists (select from sessions s where s.token_hash = w.session_hash and s.user_id = w.user_id and s.expires_at > w.at
                                             and s.seen_at > w.seen_after))
      and (w.token_id is null or exists (select from api_tokens t where t.id = w.token_id and t.user_id = w.user_id and t.revoked_at is null
                                         and (t.expires_at is null or t.expires_at > w.at)))
), written as (
    insert into audit_log (at, user_id, actor, address, action, subject_type, subject_id, detail)
    select at, user_id, actor, address::inet, action, 'recording', recording_id::text, detail::jsonb from heard order by place
)
select place from heard
"""


# One row as plain values is much less for driver and database to chew than lists of one, and mostly there is one: it is what a listener waits for.
NOTE_ONE = _noting(
    "select " + ", ".join(f"${place}::{kind}" for place, kind in enumerate(_OF_A_ROW.values(), 1)) + ", 1"
)
# The limit takes nothing away: it tells the planner that the lists are short, so that one plan does for all times (planning took three times as long as
# the rest).
NOTE_LOT = _noting(
    "select * from unnest("
    + ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_OF_A_ROW.values(), 1))
    + f") with ordinality limit ${len(_OF_A_ROW) + 1}"
)


async def note(conn: Connection, heard: Sequence[Heard]) -> list[bool]:
    """Write the audit rows of sound that is about to be sent. For each, whether its row is written: False where the recording or the listener is not so any more."""
    rows = [
        (
            one.entry.at, one.entry.user_id, one.entry.actor, one.entry.address, one.entry.action,
            orjson.dumps(dict(one.entry.detail), default=str).decode(), one.row.id, one.row.path, one.row.sha256, one.row.wrapped_key,
            one.row.key_wrapped, one.listener.login, " ".join(one.listener.roles), one.listener.session_hash, one.listener.seen_after,
            one.listener.token_id,
        )
        for one in heard
    ]  # fmt: skip
    if len(rows) == 1:
        return [bool(await conn.fetch(NOTE_ONE, *rows[0]))]
    written = {row["place"] for row in await conn.fetch(NOTE_LOT, *zip(*rows, strict=True), len(rows))}
    return [place in written for place in range(1, len(rows) + 1)]

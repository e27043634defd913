"""Hearing a recording: what must be known of it, and the audit row of each time. Each statement right above the function that runs it."""

from __future__ import annotations

import builtins
from collections.abc import Collection
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


# One statement, so that nothing can change between the look and the row: a recording that is gone, erased or another file now, or a listener who may not
# listen any more, gives no row.
NOTE = """
insert into audit_log (at, user_id, actor, address, action, subject_type, subject_id, detail)
select $1, $2, $3, $4::text::inet, $5, 'recording', r.id::text, $6::text::jsonb
from recordings r left join recording_project_keys k on k.id = r.project_key_id
where r.id = $7 and r.state = 'stored' and r.path = $8 and r.sha256 = $9 and r.wrapped_key is not distinct from $10
  and k.wrapped is not distinct from $11
  and ($12::text[] is null or exists (select from users u where u.id = $2 and u.login = $3 and u.disabled_at is null and u.role = any($12)))
"""


async def note(conn: Connection, entry: Entry, row: SoundRow, *, roles: Collection[str] | None = None) -> bool:
    """Write the audit row of sound that is about to be sent, where the recording still is what `row` says; False: it is not, nothing was written.

    `roles`: and only where who listens is still a user with one of these roles, under this login.
    """
    done = await conn.execute(
        NOTE, entry.at, entry.user_id, entry.actor, entry.address, entry.action, orjson.dumps(dict(entry.detail), default=str).decode(), row.id,
        row.path, row.sha256, row.wrapped_key, row.key_wrapped, None if roles is None else list(roles),
    )  # fmt: skip
    return bool(done == "INSERT 0 1")

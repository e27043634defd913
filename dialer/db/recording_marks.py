"""Marks in the sound of what leaves the house, and the files that carry them. Rows are added, never changed. Each statement right above its function."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection

SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who took recordings away, when, and why."""

    id: UUID
    secret: bytes = field(repr=False)
    made_at: datetime
    user_id: UUID | None
    actor: str
    export_id: UUID | None
    project_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file that left, and its mark."""

    mark: Mark
    recording_id: UUID
    name: str


_COLUMNS = "m.id, m.secret, m.made_at, m.user_id, m.actor, m.export_id, m.project_id, m.reason"
_MAKE = f"""
insert into recording_marks as m (secret, made_at, user_id, actor, export_id, project_id, reason) values ($1, $2, $3, $4, $5, $6, $7) returning {_COLUMNS}
"""  # noqa: S608  # constants of this file


async def make(
    conn: Connection, *, at: datetime, user_id: UUID | None, actor: str, export_id: UUID | None, project_id: UUID, reason: str
) -> Mark:  # fmt: skip
    """A new mark, in the transaction of the audit rows."""
    row = await conn.fetchrow(
        _MAKE, secrets.token_bytes(SECRET_BYTES), at, user_id, actor, export_id, project_id, reason
    )
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return Mark(**dict(row))


_NOTE_COPY = "insert into recording_copies (sha256, mark_id, recording_id, name, made_at) values ($1, $2, $3, $4, $5)"


async def note_copy(
    conn: Connection, mark: Mark, *, recording_id: UUID, name: str, sha256: bytes, at: datetime
) -> None:
    """A file is about to leave."""
    await conn.execute(_NOTE_COPY, sha256, mark.id, recording_id, name, at)


_COPY = f"select {_COLUMNS}, c.recording_id, c.name from recording_copies c join recording_marks m on m.id = c.mark_id where c.sha256 = $1 order by c.made_at, c.name limit 1"  # noqa: S608


async def copy_of(conn: Connection, sha256: bytes) -> Copy | None:
    """The copy that is this very file."""
    row = await conn.fetchrow(_COPY, sha256)
    if row is None:
        return None
    values = dict(row)
    recording_id, name = values.pop("recording_id"), values.pop("name")
    return Copy(mark=Mark(**values), recording_id=recording_id, name=name)


_PAGE = f"""
select {_COLUMNS} from recording_marks m
where ($1::timestamptz is null or (m.made_at, m.id) < ($1, $2::uuid)) and ($3::uuid is null or m.project_id = $3)
order by m.made_at desc, m.id desc limit $4
"""  # noqa: S608
_COUNT = "select count(*) from recording_marks where $1::uuid is null or project_id = $1"


async def count(conn: Connection, *, project_id: UUID | None) -> int:
    """How many there are."""
    return int(await conn.fetchval(_COUNT, project_id))


async def page(conn: Connection, *, before: Mark | None, project_id: UUID | None, limit: int) -> list[Mark]:
    """Marks, newest first."""
    at, last = (before.made_at, before.id) if before else (None, None)
    return [Mark(**dict(row)) for row in await conn.fetch(_PAGE, at, last, project_id, limit)]

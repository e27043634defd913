"""The audit log: append-only, written in the transaction of the change it tells of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what, when, from where."""

    at: datetime
    user_id: UUID | None
    actor: str
    address: str | None
    action: str
    subject_type: str
    subject_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Entry):
    """An entry with its place in the log."""

    id: int


WRITE = """
insert into audit_log (at, user_id, actor, address, action, subject_type, subject_id, detail)
values ($1, $2, $3, $4::text::inet, $5, $6, $7, $8::text::jsonb)
"""


async def write(conn: Connection, entry: Entry) -> None:
    """Write an entry."""
    await conn.execute(
        WRITE, entry.at, entry.user_id, entry.actor, entry.address, entry.action, entry.subject_type, entry.subject_id,
        orjson.dumps(dict(entry.detail), default=str).decode(),
    )  # fmt: skip


async def write_all(conn: Connection, entries: Iterable[Entry]) -> None:
    """Write many."""
    await conn.executemany(
        WRITE,
        [
            (one.at, one.user_id, one.actor, one.address, one.action, one.subject_type, one.subject_id,
             orjson.dumps(dict(one.detail), default=str).decode())
            for one in entries
        ],
    )  # fmt: skip


PAGE = """
select id, at, user_id, actor, host(address) as address, action, subject_type, subject_id, detail::text as detail
from audit_log
where ($1::bigint is null or id < $1) and ($2::text is null or subject_type = $2) and ($3::text is null or subject_id = $3)
  and ($4::uuid is null or user_id = $4) and ($5::text is null or action = $5)
order by id desc limit $6
"""


async def page(
    conn: Connection, *, before: int | None, subject_type: str | None, subject_id: str | None, user_id: UUID | None, action: str | None,
    limit: int,
) -> list[Kept]:  # fmt: skip
    """Entries, newest first."""
    rows = await conn.fetch(PAGE, before, subject_type, subject_id, user_id, action, limit)
    return [Kept(**{**dict(row), "detail": orjson.loads(row["detail"])}) for row in rows]


PROJECT_AT = """
select coalesce(
           (select case when to_life in ('trial', 'formal') then 'running' when to_life in ('trial_paused', 'paused') then 'paused'
                        when to_life in ('trial_stopped', 'stopped') then 'stopped' else to_life end
            from project_steps where project_id = $1::text::uuid and at <= $2 order by id desc limit 1),
           (select case action when 'project_started' then 'running' when 'project_created' then 'draft' else 'paused' end
            from audit_log where subject_type = 'project' and subject_id = $1 and at <= $2 and not detail ? 'refused'
              and action in ('project_created', 'project_started', 'project_paused', 'project_stopped') order by at desc, id desc limit 1)) as state,
       exists (select from audit_log where subject_type = 'project' and subject_id = $1 and at > $2 and action = 'project_changed') as changed
"""


async def project_at(conn: Connection, project_id: UUID, at: datetime) -> tuple[str | None, bool]:
    """The state a project was put into before a moment (None: not known), and whether its settings were changed since."""
    row = await conn.fetchrow(PROJECT_AT, str(project_id), at)
    assert row is not None  # noqa: S101 -- a select without a table gives one row
    return row["state"], row["changed"]

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


# The conditions are those that were asked for, and no others: each of them has its index, which a plan for "any of them or none" could not use.
PAGE = """
select id, at, user_id, actor, host(address) as address, action, subject_type, subject_id, detail::text as detail
from audit_log where {conditions} order by id desc limit $1
"""


def statement(
    *, before: int | None, subject_type: str | None, subject_id: str | None, user_id: UUID | None, action: str | None, limit: int
) -> tuple[str, list[object]]:  # fmt: skip
    """A page's statement and its arguments."""
    asked = {
        "id <": before,
        "subject_type =": subject_type,
        "subject_id =": subject_id,
        "user_id =": user_id,
        "action =": action,
    }
    wanted = [(name, value) for name, value in asked.items() if value is not None]
    conditions = " and ".join(f"{name} ${place}" for place, (name, _) in enumerate(wanted, 2)) or "true"
    return PAGE.format(conditions=conditions), [limit, *(value for _, value in wanted)]


async def page(
    conn: Connection, *, before: int | None, subject_type: str | None, subject_id: str | None, user_id: UUID | None, action: str | None,
    limit: int,
) -> list[Kept]:  # fmt: skip
    """Entries, newest first."""
    sql, arguments = statement(
        before=before, subject_type=subject_type, subject_id=subject_id, user_id=user_id, action=action, limit=limit
    )
    rows = await conn.fetch(sql, *arguments)
    return [Kept(**{**dict(row), "detail": orjson.loads(row["detail"])}) for row in rows]


PROJECT_AT = """
select coalesce(
           (select case when to_life in ('trial', 'formal') then 'running' when to_life in ('trial_paused', 'paused') then 'paused'
                        when to_life in ('trial_stopped', 'stopped') then 'stopped' else to_life end
            from project_steps where project_id = $1::text::uuid and at <= $2 order by id desc limit 1),
           (select case action when 'project_started' then 'running' when 'project_created' then 'draft' else 'paused' end
            from audit_log where subject_type = 'project' and subject_id = $1 and at <= $2 and not detail ? 'refused'
              and action in ('project_created', 'project_started', 'project_paused', 'project_stopped') order by id desc limit 1)) as state,
       exists (select from audit_log where subject_type = 'project' and subject_id = $1 and at > $2 and action = 'project_changed') as changed
"""


async def project_at(conn: Connection, project_id: UUID, at: datetime) -> tuple[str | None, bool]:
    """The state a project was put into before a moment (None: not known), and whether its settings were changed since."""
    row = await conn.fetchrow(PROJECT_AT, str(project_id), at)
    assert row is not None  # noqa: S101 -- a select without a table gives one row
    return row["state"], row["changed"]

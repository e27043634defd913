"""Imports as they stand in the database: how far they are, how they ended, and their undoing. How one is done: `importing/`."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import Conflict, Missing
from campaigns.sql import Connection, OneConnection
from campaigns.states import ImportState

STATEMENT_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import. While it runs, `accepted` and `rejected` say how far it is. `reject_path` is a file of ours, for no client to see."""

    id: UUID
    project_id: UUID
    file_name: str
    sha256: bytes
    format: str
    encoding: str
    sheet: str
    state: ImportState
    accepted: int
    rejected: int
    reject_path: str | None
    error_id: str | None
    user_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


_COLUMNS = "id, project_id, file_name, sha256, format, encoding, sheet, state, accepted, rejected, reject_path, error_id, user_id, created_at, ended_at"
_GET = f"select {_COLUMNS} from imports where id = $1"


async def get_import(conn: Connection, import_id: UUID) -> Import:
    """One import. Errors: Missing `import_unknown`."""
    row = await conn.fetchrow(_GET, import_id)
    if row is None:
        raise Missing("import_unknown", "There is no such import.")
    return _import(row)


_OF_PROJECT = f"""
select {_COLUMNS} from imports
where project_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
order by created_at desc, id desc limit $4
"""


async def list_imports(
    conn: Connection, project_id: UUID, *, after: tuple[datetime, UUID] | None = None, limit: int
) -> list[Import]:
    """A project's imports, newest first, from those before `after` on."""
    return [_import(row) for row in await conn.fetch(_OF_PROJECT, project_id, *(after or (None, None)), limit)]


_FAIL = "update imports set state = 'failed', error_id = $2, ended_at = clock_timestamp() where id = $1 and state = 'running'"


async def fail(conn: Connection, import_id: UUID, error_id: str) -> None:
    """Say that an import that was running has failed, and why."""
    await conn.execute(_FAIL, import_id, error_id)


_ADVANCE = "update imports set accepted = $2, rejected = $3 where id = $1 and state = 'running'"


async def advance(conn: Connection, import_id: UUID, *, accepted: int, rejected: int) -> None:
    """Say how far a running import is; beside its transaction, so that others see it."""
    await conn.execute(_ADVANCE, import_id, accepted, rejected)


_OLD_REJECTS = (
    "select id, reject_path from imports where reject_path is not null and created_at < $1 order by created_at limit $2"
)
_FORGET_REJECTS = "update imports set reject_path = null where id = any ($1::uuid[])"
_AT_ONCE: Final = 100


async def forget_rejects(conn: Connection, directory: Path, *, before: datetime) -> int:
    """Delete reject files of imports from before a moment: people's numbers stand in them. How many, a hundred at most; one that cannot be deleted is tried again.

    Only files in `directory` are ours to delete; what a command wrote elsewhere, its caller has.
    """
    rows = await conn.fetch(_OLD_REJECTS, before, _AT_ONCE)
    gone = await asyncio.to_thread(
        lambda: [row["id"] for row in rows if _deleted(directory / Path(row["reject_path"]).name)]
    )
    await conn.execute(_FORGET_REJECTS, gone)
    return len(gone)


def _deleted(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


_DIALLED = """
select count(*) from leads l join imports i on i.id = $1 and l.id between i.first_lead and i.last_lead
where l.import_id = $1 and l.last_attempt_at is not null
"""

_UNDO = """
with gone as (
    delete from leads l using imports i
    where i.id = $1 and l.id between i.first_lead and i.last_lead and l.import_id = $1 and l.last_attempt_at is null
    returning l.id
), marked as (
    update imports set state = 'undone', ended_at = clock_timestamp() where id = $1
)
select count(*) from gone
"""


async def undo_import(conn: OneConnection, import_id: UUID, *, undialled_only: bool = False) -> int:
    """Take an import back and say how many leads went. Once a lead of it was dialled, only with `undialled_only`: those that were not.

    Errors: Missing `import_unknown`; Conflict `import_not_done`, `import_dialled` (with how many in its detail).
    """
    async with conn.transaction():
        await conn.execute(f"set local statement_timeout = '{int(STATEMENT_TIMEOUT_S)}s'")
        found = await get_import(conn, import_id)
        if found.state is not ImportState.DONE:
            raise Conflict("import_not_done", f"This import is {found.state}; only one that is done can be undone.")
        dialled = await conn.fetchval(_DIALLED, import_id, timeout=STATEMENT_TIMEOUT_S)
        if dialled and not undialled_only:
            raise Conflict(
                "import_dialled",
                "Leads of this import were dialled already; only those that were not can be taken back.",
                dialled=dialled,
            )
        gone: int = await conn.fetchval(_UNDO, import_id, timeout=STATEMENT_TIMEOUT_S)
        return gone


def _import(row: asyncpg.Record) -> Import:
    values: dict[str, Any] = dict(row)
    return Import(**values | {"state": ImportState(row["state"])})

"""Scripts in the database: one draft that may change, and published versions that never do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import Conflict, Missing
from campaigns.scripts.checking import Script, script_of
from campaigns.scripts.document import ScriptDocument
from campaigns.sql import Connection, OneConnection

_KEPT: Final = 64
_ready: dict[tuple[UUID, int], Script] = {}
"""Published versions that were used last, ready to be used again: they never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version; one that is not published is the draft."""

    script_id: UUID
    name: str
    version: int
    changed_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A script with its last published version and its draft."""

    id: UUID
    name: str
    created_at: datetime
    published: int | None
    draft: int | None


_CREATE = "insert into scripts (name, created_at) values ($1, $2) returning id"


async def create(conn: Connection, name: str, now: datetime) -> UUID:
    """A script without any version. Errors: Conflict `script_name_taken`."""
    try:
        script_id: UUID = await conn.fetchval(_CREATE, name, now)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("script_name_taken", "There is a script of this name: choose another.") from error
    return script_id


_LIST = """
select s.id, s.name, s.created_at, max(v.version) filter (where v.published) as published, max(v.version) filter (where not v.published) as draft
from scripts s left join script_versions v on v.script_id = s.id
where ($1::text is null or s.name > $1) and ($2::uuid is null or s.id = $2)
group by s.id order by s.name limit $3
"""


async def list_scripts(conn: Connection, *, after: str | None = None, limit: int = 500) -> list[Named]:
    """Scripts by name, those with names beyond `after`."""
    return [Named(**row) for row in await conn.fetch(_LIST, after, None, limit)]


async def get_script(conn: Connection, script_id: UUID) -> Named:
    """One script. Errors: Missing `script_unknown`."""
    row = await conn.fetchrow(_LIST, None, script_id, 1)
    if row is None:
        raise Missing("script_unknown", "There is no such script.", script_id=str(script_id))
    return Named(**row)


_VERSIONS = """
select v.script_id, s.name, v.version, v.changed_at, v.published_at from script_versions v join scripts s on s.id = v.script_id
where v.script_id = $1 order by v.version desc
"""


async def versions_of(conn: Connection, script_id: UUID) -> list[Version]:
    """All versions, the last first. Errors: Missing `script_unknown`."""
    await get_script(conn, script_id)
    return [Version(**row) for row in await conn.fetch(_VERSIONS, script_id)]


_DOCUMENT = "select document from script_versions where script_id = $1 and version = $2"


async def document_of(conn: Connection, script_id: UUID, version: int) -> dict[str, Any]:
    """A version as it was written. Errors: Missing `script_version_unknown`."""
    document = await conn.fetchval(_DOCUMENT, script_id, version)
    if document is None:
        raise Missing("script_version_unknown", "The script has no such version.", version=version)
    return dict(document)


async def ready(conn: Connection, script_id: UUID, version: int) -> Script:
    """A published version, ready to be used. Errors: Missing `script_version_unknown`."""
    key = (script_id, version)
    if (script := _ready.get(key)) is None:
        script = script_of(ScriptDocument.model_validate(await document_of(conn, script_id, version)))
        while len(_ready) >= _KEPT:
            del _ready[next(iter(_ready))]
        _ready[key] = script
    return script


_SAVE = """
with changed as (
    update script_versions set document = $2, changed_at = $3 where script_id = $1 and published_at is null returning version
),
added as (
    insert into script_versions (script_id, version, document, changed_at)
    select $1, coalesce((select max(version) from script_versions where script_id = $1), 0) + 1, $2, $3 where not exists (select from changed)
    returning version
)
select version from changed union all select version from added
"""


async def save_draft(conn: OneConnection, script_id: UUID, document: ScriptDocument, now: datetime) -> int:
    """Make this the script's draft and give its version; it may have faults. Errors: Missing `script_unknown`."""
    await _locked(conn, script_id)
    version: int = await conn.fetchval(_SAVE, script_id, document.model_dump(mode="json", exclude_defaults=True), now)
    return version


_DROP = "delete from script_versions where script_id = $1 and published_at is null returning version"


async def drop_draft(conn: OneConnection, script_id: UUID) -> int:
    """Throw the draft away and give its version. Errors: Missing `script_unknown`; Conflict `script_draft_missing`."""
    await _locked(conn, script_id)
    version: int | None = await conn.fetchval(_DROP, script_id)
    if version is None:
        raise no_draft()
    return version


_DRAFT = "select version, document from script_versions where script_id = $1 and published_at is null"


async def draft_of(conn: Connection, script_id: UUID) -> tuple[int, ScriptDocument]:
    """The draft with its version. Errors: Missing `script_unknown`; Conflict `script_draft_missing`."""
    await get_script(conn, script_id)
    row = await conn.fetchrow(_DRAFT, script_id)
    if row is None:
        raise no_draft()
    return row["version"], ScriptDocument.model_validate(row["document"])


_PUBLISH = """
update script_versions set published_at = $4 where script_id = $1 and version = $2 and published_at is null and document = $3 returning version
"""


async def publish(conn: OneConnection, script_id: UUID, version: int, checked: ScriptDocument, now: datetime) -> None:
    """Publish a draft for good, as it was when it was checked.

    Errors: BadInput `script_invalid`; Conflict `script_draft_changed`: somebody else changed, published or dropped it meanwhile.
    """
    script_of(checked)
    document = checked.model_dump(mode="json", exclude_defaults=True)
    if await conn.fetchval(_PUBLISH, script_id, version, document, now) is None:
        raise Conflict("script_draft_changed", "Somebody else has changed or published the draft meanwhile: look at it again.")  # fmt: skip


def no_draft() -> Conflict:
    """There is nothing to publish or to drop."""
    return Conflict("script_draft_missing", "The script has no draft: write one first.")


_LOCK = "select id from scripts where id = $1 for update"


async def _locked(conn: OneConnection, script_id: UUID) -> None:
    if await conn.fetchval(_LOCK, script_id) is None:
        raise Missing("script_unknown", "There is no such script.", script_id=str(script_id))

"""Scripts in a database, for tests."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.scripts import assignments, versions
from campaigns.scripts.document import ScriptDocument
from campaigns.sql import Pool
from tests.builders import NOON, an_attempt

EARLY = NOON - timedelta(hours=1)
_names = itertools.count(1)


def a_document(*questions: dict[str, Any], quotas: list[dict[str, Any]] | None = None, **parts: Any) -> ScriptDocument:
    """A script of these questions."""
    asked = {"questions": questions, "quotas": quotas or []}
    return ScriptDocument.model_validate({"title": "t", "questionnaire": asked, **parts})


async def a_published(pool: Pool, document: ScriptDocument, script_id: UUID | None = None) -> tuple[UUID, int]:
    """A published version, of a script of its own unless one is given."""
    async with pool.acquire() as conn, conn.transaction():
        script_id = script_id or await versions.create(conn, f"script-{next(_names)}", EARLY)
        version = await versions.save_draft(conn, script_id, document, EARLY)
        await versions.publish(conn, script_id, version, document, EARLY)
    return script_id, version


async def in_use(
    pool: Pool, project: Project, document: ScriptDocument, *, now: datetime = EARLY, **trial: Any
) -> tuple[UUID, int]:
    """A published version that the project uses."""
    made = await a_published(pool, document)
    async with pool.acquire() as conn:
        await assignments.assign(conn, project.id, made, now=now, **trial)
    return made


async def a_talk(
    pool: Pool, project: Project, *, at: datetime = NOON, bridged: bool = True, over: bool = False, disposition: str | None = None, lead_id: int | None = None
) -> UUID:  # fmt: skip
    """An attempt that was answered at `at`."""
    claimed = await an_attempt(pool, project, lead_id, now=at)
    await pool.execute(
        "update attempts set state = 'bridged', answered_at = $2::timestamptz, bridged_at = case when $3 then $2::timestamptz end, disposition = $4, wrapped_at = case when $4::text is not null then $2::timestamptz end where id = $1",
        claimed.attempt_id, at, bridged, disposition,
    )  # fmt: skip
    if over:
        outcome = "connected" if bridged else "abandoned"
        await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome=outcome, ended_at=at)])
    return claimed.attempt_id

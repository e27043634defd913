"""Recordings that are in the store already, for the tests of retention and archive."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from recorder.paths import master_path
from tests.recorder.builders import ANSWERED, PROJECT, an_attempt

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


async def a_stored_recording(
    pool: Pool,
    store: Path,
    number: int = 1,
    *,
    sound: bytes | None = None,
    project_id: UUID = PROJECT,
    at: datetime = ANSWERED,
    verified: bool = True,
) -> UUID:
    """A call with its verified file in the store; gives the call's id. The same number has the same bytes."""
    call = await an_attempt(pool, number, project_id=project_id, at=at, answered_at=at)
    content = hashlib.shake_256(str(number).encode()).digest(40_000 + 37 * number) if sound is None else sound
    path = master_path(at.date(), project_id, call)
    (store / path).parent.mkdir(parents=True, exist_ok=True)
    (store / path).write_bytes(content)
    ended = at + timedelta(seconds=2)
    await pool.execute(
        """insert into recordings (attempt_id, project_id, state, path, sha256, bytes, duration_ms, started_at, ended_at, created_at, verified_at)
           values ($1, $2, 'stored', $3, $4, $5, 2000, $6, $7, $6, $8)""",
        call, project_id, path, hashlib.sha256(content).digest(), len(content), at, ended,
        ended if verified else None,
    )  # fmt: skip
    return call


async def state_of(pool: Pool, call: UUID) -> str:
    """The state of a call's recording."""
    return str(await pool.fetchval("select state from recordings where attempt_id = $1", call))


async def recording_id(pool: Pool, call: UUID) -> UUID:
    """The recording of a call."""
    return UUID(str(await pool.fetchval("select id from recordings where attempt_id = $1", call)))

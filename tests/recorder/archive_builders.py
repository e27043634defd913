"""Recordings that are in the store already, for the tests of retention and archive."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from recorder.file_keys import FileKeys, WrappedKey
from recorder.paths import master_path
from recorder.sealing import SealingSink, content_of, new_seal
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


async def a_sealed_recording(pool: Pool, store: Path, keys: FileKeys, number: int = 1, **where: Any) -> UUID:
    """As `a_stored_recording`, sealed under a key of its own."""
    call = await a_stored_recording(pool, store, number, **where)
    row = await pool.fetchrow("select project_id, path, started_at from recordings where attempt_id = $1", call)
    assert row is not None
    file, seal, sealed = store / row["path"], new_seal(call), io.BytesIO()
    sound = file.read_bytes()
    writer = SealingSink(sealed, seal)
    writer.write(sound)
    writer.finish()
    file.write_bytes(sealed.getvalue())
    async with pool.acquire() as conn:
        key = await keys.wrap(conn, row["project_id"], seal, at=row["started_at"])
    await pool.execute(
        """update recordings set project_key_id = $2, wrapped_key = $3, content_sha256 = sha256($4), content_bytes = length($4),
           sha256 = sha256($5), bytes = length($5) where attempt_id = $1""",
        call, key.project_key_id, key.wrapped, sound, sealed.getvalue(),
    )  # fmt: skip
    return call


async def sound_of(pool: Pool, store: Path, keys: FileKeys, call: UUID) -> bytes:
    """What is inside a sealed recording that lies in the store. Raises KeysRefused."""
    row = await pool.fetchrow("select path, project_key_id, wrapped_key from recordings where attempt_id = $1", call)
    assert row is not None
    async with pool.acquire() as conn:
        seal = await keys.seal(conn, call, WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"]))
    with content_of(store / row["path"], seal) as content:
        return content.read()

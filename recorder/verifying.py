"""Reads every stored file again and compares it with the ledger: which calls are damaged, and how."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder.errors import RecorderError
from recorder.paths import locate

if TYPE_CHECKING:
    from recorder.ledger import LedgerPool

_BLOCK_BYTES: Final = 1 << 20
_FIRST: Final = UUID(int=0)
_STORED = """
select id, attempt_id, path, sha256, bytes from recordings
where state = 'stored' and ($1::uuid is null or project_id = $1) and id > $2 order by id limit 500
"""
_COUNT = "select count(*) from recordings where state = 'stored' and ($1::uuid is null or project_id = $1)"
# What left the store, or was stored anew, while we read is no damage.
_STILL = "select exists (select from recordings where id = $1 and state = 'stored' and sha256 = $2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedFile:
    """A stored file that is not what the ledger says."""

    recording_id: UUID
    attempt_id: UUID
    problem: str


async def files_to_verify(pool: LedgerPool, project_id: UUID | None = None) -> int:
    """How many files the store should hold."""
    return int(await pool.fetchval(_COUNT, project_id))


async def damaged_files(
    pool: LedgerPool, store: Path, project_id: UUID | None = None, *, on_file: Callable[[], None] = lambda: None
) -> AsyncIterator[DamagedFile]:
    """Look at all files of the store (or of a project), in the order of their ids. `on_file` hears of each that was read."""
    last = _FIRST
    while rows := await pool.fetch(_STORED, project_id, last):
        for row in rows:
            problem = await asyncio.to_thread(_problem, store, row["path"], row["sha256"], row["bytes"])
            on_file()
            if problem and await pool.fetchval(_STILL, row["id"], row["sha256"]):
                yield DamagedFile(recording_id=row["id"], attempt_id=row["attempt_id"], problem=problem)
        last = rows[-1]["id"]


def _problem(store: Path, path: str, sha256: bytes, size: int) -> str:
    """Empty when there is none. Blocking."""
    digest, read = hashlib.sha256(), 0
    try:
        with locate(store, path).open("rb", buffering=0) as file:
            # Else we would be told what is in memory, not what is on the disk.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                read += len(block)
    except (OSError, RecorderError) as error:
        return f"cannot be read: {error}"
    if read != size:
        return f"{read} bytes instead of {size}"
    return "" if digest.digest() == sha256 else "changed: the hash is another one"

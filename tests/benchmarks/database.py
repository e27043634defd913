"""A private PostgreSQL with the structure in it, for benchmarks: durable (fsync), as in production, and gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from campaigns.sql import Pool
from dialer.db.migrate import migrate
from dialer.db.pool import close_pool, create_pool
from lab.postgres import Postgres

_RUNS = Path(__file__).resolve().parents[2] / ".run" / "bench"


@asynccontextmanager
async def a_server() -> AsyncIterator[str]:
    """The URL of an empty, migrated database of its own server: for several pools."""
    _RUNS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_RUNS, ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        await server.start()
        try:
            await asyncio.to_thread(migrate, server.url)
            yield server.url
        finally:
            await server.stop()


@asynccontextmanager
async def a_database(*, max_size: int = 10) -> AsyncIterator[Pool]:
    """A pool on an empty, migrated database of its own server."""
    async with a_server() as url:
        pool = await create_pool(url, max_size=max_size, statement_timeout_s=600)
        try:
            yield pool
        finally:
            await close_pool(pool)

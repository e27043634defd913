"""Fresh databases from a migrated template, on a PostgreSQL of ours."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from dialer.db.migrate import migrate
from lab.postgres import Postgres

TEMPLATE = "waihu_template"
_numbers = itertools.count(1)


async def start_with_template(server: Postgres) -> None:
    """Start, and make the template."""
    await server.start()
    await execute(server, f'CREATE DATABASE "{TEMPLATE}"')
    await asyncio.to_thread(migrate, server.url_of(TEMPLATE))


async def a_database(server: Postgres) -> str:
    """The URL of a migrated, empty database."""
    name = f"test_{next(_numbers)}"
    await execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    return server.url_of(name)


@asynccontextmanager
async def a_server(run_dir: Path) -> AsyncIterator[Postgres]:
    """A server of its own with the template; without fsync: what is killed is processes, not the machine."""
    server = Postgres(run_dir, fsync=False)
    await start_with_template(server)
    try:
        yield server
    finally:
        await server.stop()


async def execute(server: Postgres, statement: str) -> None:
    """Run a statement that no transaction may hold."""
    connection = await asyncpg.connect(server.url_of("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

"""Connections to PostgreSQL by asyncpg.

Losing the server: a connection that breaks raises asyncpg's ConnectionDoesNotExistError, InterfaceError or OSError to the one who used it and is thrown away;
the next `acquire` connects anew, so the pool heals by itself when the server is back and nothing has to be restarted. While it is away `acquire` fails
within `connect_timeout_s`. `LOST` names these errors for those who wait for the server to come back.

We keep nothing in a session (settings only by SET LOCAL, temporary tables only ON COMMIT DROP), so a connection needs no reset query when it is given back.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeAlias

import asyncpg
import orjson

from dialer.db import pool_log

LOST: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,  # shut down, terminated, starting up
    asyncpg.exceptions.TooManyConnectionsError,
    asyncpg.InternalClientError,  # what asyncpg 0.32 says when the server vanishes while it prepares a statement
)
"""The database is away: nothing is wrong with what was asked, and nothing is known about whether it was done."""

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


async def create_pool(
    url: str,
    *,
    application_name: str = "waihu",
    min_size: int = 1,
    max_size: int = 10,
    statement_timeout_s: float = 10.0,
    connect_timeout_s: float = 5.0,
) -> asyncpg.Pool[asyncpg.Record]:
    """A pool whose connections speak our types: jsonb is a dict or list, uuid a UUID, timestamptz an aware UTC datetime.

    `statement_timeout_s` is kept by the server and, half a second later, by the driver (a server that went silent).
    Just-in-time compilation is off: our statements are short, compiling them is not.
    Errors: those of `LOST` when the server cannot be reached.
    """
    logging.getLogger(pool_log.ASYNCPG).addFilter(pool_log.once)
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        timeout=connect_timeout_s,
        command_timeout=statement_timeout_s + 0.5,
        max_inactive_connection_lifetime=300.0,
        init=_speak_our_types,
        reset=_nothing_to_reset,
        server_settings={
            "application_name": application_name,
            "jit": "off",
            "timezone": "UTC",
            "statement_timeout": f"{int(statement_timeout_s * 1000)}",
            "idle_in_transaction_session_timeout": "60000",
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
    )


async def close_pool(pool: asyncpg.Pool[asyncpg.Record], *, within_s: float = 5.0) -> None:
    """Close in an orderly way, and by force when a connection is not given back in time."""
    try:
        async with asyncio.timeout(within_s):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _speak_our_types(connection: Any) -> None:
    for name in ("jsonb", "json"):
        await connection.set_type_codec(
            name, encoder=_to_json, decoder=orjson.loads, schema="pg_catalog", format="text"
        )
    pool_log.once.connected()


async def _nothing_to_reset(_connection: Any) -> None:
    return


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()

"""The pool's log: an absence of PostgreSQL is two lines, however long it is."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dialer.db import pool_log
from dialer.db.pool import close_pool, create_pool
from lab.postgres import Postgres
from lab.waiting import wait_until


def test_only_the_first_failed_try_of_an_absence_is_told_and_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    once = pool_log.OncePerAbsence()
    logger = logging.getLogger("asyncpg.pool.tested")
    logger.addFilter(once)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            for _ in range(3):
                try:
                    raise ConnectionRefusedError("nobody there")
                except ConnectionRefusedError:
                    logger.warning("Failed to restore the pool connection floor; retrying", exc_info=True)
            once.connected()
            once.connected()
        logger.warning("Pool.close() is taking over 60 seconds to complete.")
    told = [(record.levelname, record.exc_info is None) for record in caplog.records]
    assert told == [("WARNING", True), ("INFO", True), ("WARNING", True), ("INFO", True), ("WARNING", True)]
    assert "nobody there" in caplog.records[0].reason  # type: ignore[attr-defined]
    assert caplog.records[-1].message.startswith("Pool.close()")


async def test_pool_whose_server_dies_and_comes_back_says_so_once_each(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = Postgres(tmp_path_factory.mktemp("pg"), fsync=False)
    await server.start()
    try:
        pool = await create_pool(server.url_of("postgres"), min_size=2, connect_timeout_s=2)
        try:
            with caplog.at_level(logging.INFO):
                server.kill()
                await wait_until(lambda: _lines(caplog, "is away") > 0, timeout_s=20, what="the line of the absence")
                await server.start()
                async with asyncio.timeout(20), pool.acquire() as connection:
                    await connection.execute("select 1")
                await wait_until(
                    lambda: _lines(caplog, "connections again") > 0, timeout_s=20, what="the line of the return"
                )
            assert (_lines(caplog, "is away"), _lines(caplog, "connections again")) == (1, 1)
        finally:
            await close_pool(pool)
    finally:
        await server.stop()


def _lines(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records)

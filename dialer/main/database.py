"""The pool, waited for: PostgreSQL may come up after us, and calls that live in Asterisk must not wait for an operator."""

from __future__ import annotations

import asyncio

import structlog

from dialer.db.pool import LOST, Pool, create_pool
from dialer.doctor.postgres import schema_gap
from dialer.domain.errors import Conflict
from dialer.settings import Settings

log = structlog.get_logger(__name__)

_AGAIN_S = 0.5


async def open_pool(settings: Settings, role: str) -> Pool:
    """A pool, as soon as PostgreSQL answers. Cancelled by an orderly stop. Conflict `schema_outdated` when migrations are missing."""
    pool: Pool | None = None
    told = False
    while pool is None:
        try:
            pool = await create_pool(
                settings.database_url,
                application_name=f"waihu {role}",
                min_size=2,
                max_size=settings.database_pool_size,
            )
        except LOST as error:
            if not told:
                log.warning("PostgreSQL does not answer; waiting for it", error=str(error) or type(error).__name__)
                told = True
            await asyncio.sleep(_AGAIN_S)
    if told:
        log.info("PostgreSQL answers")
    await _require_schema(pool)
    return pool


async def _require_schema(pool: Pool) -> None:
    async with pool.acquire() as connection:
        missing, unknown, _ = await schema_gap(connection)
    if missing:
        raise Conflict(
            "schema_outdated",
            f"The database lacks {', '.join(missing)}. Run waihu migrate, then start again.",
            missing=missing,
        )
    if unknown:
        raise Conflict(
            "schema_newer",
            f"The database knows {', '.join(unknown)}, this program does not: install the newer version.",
            unknown=unknown,
        )

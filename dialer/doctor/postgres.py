"""PostgreSQL: reached, new enough, durable, ours to write, at the right migration, on the same time as we."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from dialer.db.sql import Connection
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

LEAST_MAJOR = 14
SKEW_WARNING_S = 0.5
SKEW_FAULT_S = 5.0
_CONNECT_S = 5.0


class Unreachable(Exception):
    """The connection could not be made; the argument is what was seen."""


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=_CONNECT_S, command_timeout=_CONNECT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_S)


def _where(settings: Settings) -> str:
    url = urlsplit(settings.database_url)
    return f"{url.hostname or 'local socket'}:{url.port or 5432}{url.path}"


async def server(settings: Settings) -> list[Finding]:
    """The server answers, is new enough, has room for our connections, keeps what it acknowledged, and we may write."""
    try:
        async with connect(settings) as connection:
            version = int(await connection.fetchval("show server_version_num"))
            text = await connection.fetchval("show server_version")
            limit = int(await connection.fetchval("show max_connections"))
            durable = {
                name: await connection.fetchval(f"show {name}")
                for name in ("fsync", "synchronous_commit", "full_page_writes")
            }
            may_create = await connection.fetchval("select has_schema_privilege(current_schema(), 'create')")
            read_only = await connection.fetchval(
                "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean"
            )
    except Unreachable as error:
        return [
            fault(
                "postgresql",
                f"{_where(settings)}: {error}",
                "Start PostgreSQL, or correct WAIHU_DATABASE_URL (host, port, user, password, database). Nothing is dialled without it.",
            )
        ]
    if version // 10_000 < LEAST_MAJOR:
        return [fault("postgresql", f"PostgreSQL {text}", f"Upgrade to PostgreSQL {LEAST_MAJOR} or newer.")]
    findings = [ok("postgresql", f"PostgreSQL {text} at {_where(settings)}")]
    if read_only:
        findings.append(
            fault("postgresql", "the server is a read-only replica", "Let WAIHU_DATABASE_URL name the primary.")
        )
    elif not may_create:
        findings.append(
            fault(
                "postgresql",
                "our user may not create tables",
                "grant create, usage on schema public to this user; migrations need it.",
            )
        )
    if limit < settings.database_pool_size * 3:
        findings.append(
            warning(
                "postgresql",
                f"max_connections is {limit}, one process may take {settings.database_pool_size}",
                "Raise max_connections or lower WAIHU_DATABASE_POOL_SIZE; engine, web and recorder each take a pool.",
            )
        )
    weak = [name for name, value in durable.items() if value == "off"]
    if weak:
        findings.append(
            fault(
                "postgresql",
                f"{', '.join(weak)} off",
                "Turn it on: an attempt must be on disk before it is dialled, or a power cut makes us call a person twice.",
            )
        )
    return findings


async def schema_gap(connection: Connection) -> tuple[list[str], list[str], int]:
    """Migrations that are not applied, those that this program does not know, and how many are applied. Read without yoyo, which would write."""
    folder = files("dialer.db").joinpath("migrations")
    known = {
        Path(entry.name).stem
        for entry in folder.iterdir()
        if entry.name.endswith(".sql") and ".rollback" not in entry.name
    }
    is_there = await connection.fetchval("select to_regclass('_yoyo_migration') is not null")
    rows = await connection.fetch("select migration_id from _yoyo_migration") if is_there else []
    applied = {row["migration_id"] for row in rows}
    return sorted(known - applied), sorted(applied - known), len(applied)


async def schema(settings: Settings) -> list[Finding]:
    """Every migration of this version is applied, and none that it does not know."""
    try:
        async with connect(settings) as connection:
            missing, unknown, applied = await schema_gap(connection)
    except Unreachable:
        return [fault("schema", "not examined: PostgreSQL is not reached", "See the finding for postgresql.")]
    except asyncpg.PostgresError as error:
        return [
            fault(
                "schema",
                f"the list of migrations cannot be read: {error}",
                "grant select on _yoyo_migration to this user.",
            )
        ]
    if unknown:
        return [
            fault(
                "schema",
                f"the database knows {', '.join(unknown)}, this program does not",
                "The program is older than the database: install the newer version.",
            )
        ]
    if missing:
        return [fault("schema", f"not applied: {', '.join(missing)}", "Run waihu migrate.")]
    return [ok("schema", f"{applied} migrations applied")]


async def clock_skew(settings: Settings) -> list[Finding]:
    """PostgreSQL's clock and ours agree; leases between engines are judged by the one, callbacks by the other."""
    try:
        async with connect(settings) as connection:
            await connection.fetchval("select 1")
            before = datetime.now(UTC)  # noqa: TID251  # the machine's own clock is what is examined
            theirs: datetime = await connection.fetchval("select clock_timestamp()")
            after = datetime.now(UTC)  # noqa: TID251  # as above
    except Unreachable:
        return [fault("postgresql clock", "not examined: PostgreSQL is not reached", "See the finding for postgresql.")]
    return [judge_skew((theirs - (before + (after - before) / 2)).total_seconds())]


def judge_skew(skew_s: float) -> Finding:
    """`skew_s`: how far PostgreSQL's clock is before ours."""
    seen = f"PostgreSQL's clock is {abs(skew_s):.3f} s {'before' if skew_s > 0 else 'behind'} ours"
    cure = "Let both machines follow the same time server."
    if abs(skew_s) >= SKEW_FAULT_S:
        return fault("postgresql clock", seen, cure)
    if abs(skew_s) >= SKEW_WARNING_S:
        return warning("postgresql clock", seen, cure)
    return ok("postgresql clock", seen)

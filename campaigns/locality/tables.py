"""Prefix tables (号段表): versions of public data, loaded from a file beside the one in use, and taken into use in one moment.

The numbering plan's own answers are kept as a table too, filled as its blocks are asked for; a prefix table goes before it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.locality import plan
from campaigns.locality.place import Place, city_name, province_name
from campaigns.sql import Connection, OneConnection, Pool
from campaigns.tables.open_table import open_table
from campaigns.tables.table import Table

_HEADERS: Final = {
    "prefix": {"prefix", "号段", "手机号段", "手机号前七位"},
    "province": {"province", "省份", "省"},
    "city": {"city", "城市", "市"},
    "carrier": {"carrier", "运营商", "isp", "卡类型"},
}
_PREFIX: Final = re.compile(r"1[3-9][0-9]{5}")
_COUNTRY, _CODE, _ZONE = "CN", "+86", "Asia/Shanghai"
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalityTable:
    """A version of a prefix table."""

    id: int
    name: str
    version: str
    blocks: int
    in_use: bool
    loaded_at: datetime


_LIST = "select id, name, version, blocks, in_use, loaded_at from locality_tables where name <> $1 order by loaded_at desc, id desc"


async def list_tables(conn: Connection) -> list[LocalityTable]:
    """The prefix tables, the latest first."""
    return [LocalityTable(**row) for row in await conn.fetch(_LIST, plan.NAME)]


_NEW = """
insert into locality_tables (name, version, sha256, blocks, user_id) values ($1, $2, $3, 0, $4) returning id
"""
_COUNTED = "update locality_tables set blocks = $2 where id = $1"


async def load_table(pool: Pool, path: Path, *, name: str, version: str, user_id: UUID | None = None) -> int:
    """Read a prefix table (CSV or a workbook with the columns prefix, province, city, carrier, or 号段, 省份, 城市, 运营商) and give its id. Not in use yet.

    Errors: those of `open_table`; BadInput `prefix_table_columns`, `prefix_invalid` (with the line), `prefix_twice`; Conflict `locality_table_exists`.
    """
    table = await asyncio.to_thread(open_table, path, _is_header)
    try:
        rows = _rows(table)
        async with pool.acquire() as conn, conn.transaction():
            try:
                table_id: int = await conn.fetchval(_NEW, name, version, table.facts.sha256, user_id)
            except asyncpg.UniqueViolationError as error:
                raise Conflict("locality_table_exists", "This version of the table is loaded already.") from error
            count = 0
            while some := await asyncio.to_thread(_some, rows):
                await _write(conn, table_id, some)
                count += len(some)
            await conn.execute(_COUNTED, table_id, count)
            return table_id
    finally:
        table.close()


def _is_header(cells: Sequence[str]) -> bool:
    return any(cell.strip().lower() in _HEADERS["prefix"] for cell in cells)


def _some(rows: Iterator[tuple[str, Place]]) -> list[tuple[str, Place]]:
    return [row for row, _ in zip(rows, range(_AT_ONCE), strict=False)]


def _rows(table: Table) -> Iterator[tuple[str, Place]]:
    at = {
        ours: next((place for place, cell in enumerate(table.header) if cell.strip().lower() in known), None)
        for ours, known in _HEADERS.items()
    }
    prefix, province, city, carrier = at["prefix"], at["province"], at["city"], at["carrier"]
    if prefix is None or province is None or city is None or carrier is None:
        raise BadInput(
            "prefix_table_columns",
            "A prefix table has the columns prefix, province, city and carrier (号段, 省份, 城市, 运营商).",
            columns=table.header,
        )
    for record in table:
        cells = record.cells + [""] * (len(table.header) - len(record.cells))
        if record.error_id or not _PREFIX.fullmatch(cells[prefix].strip()):
            raise BadInput(
                "prefix_invalid",
                f"Line {record.line}: a prefix is the first seven digits of a mobile number.",
                line=record.line,
            )
        place = Place(
            country=_COUNTRY,
            province=province_name(cells[province]),
            city=city_name(cells[city]),
            carrier=cells[carrier].strip(),
            zone=_ZONE,
        )
        yield _CODE + cells[prefix].strip(), place


_PLACES = """
insert into places (country, province, city, carrier, zone)
select distinct * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
on conflict do nothing
"""
_BLOCKS = """
insert into locality_blocks (table_id, block, place_id)
select $1, i.block, p.id
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) i (block, country, province, city, carrier, zone)
join places p using (country, province, city, carrier, zone)
"""


async def _write(conn: OneConnection, table_id: int, rows: Sequence[tuple[str, Place]], *, again: bool = False) -> None:
    places = [place for _, place in rows]
    columns = [
        [getattr(place, part) for place in places] for part in ("country", "province", "city", "carrier", "zone")
    ]
    await conn.execute(_PLACES, *columns)
    try:
        await conn.execute(
            _BLOCKS + ("on conflict do nothing" if again else ""), table_id, [block for block, _ in rows], *columns
        )
    except asyncpg.UniqueViolationError as error:
        raise BadInput("prefix_twice", "A prefix is in the table twice.") from error


_NO_MORE = "update locality_tables set in_use = false where in_use"
_USE = "update locality_tables set in_use = true where id = $1 and name <> $2 returning id"


async def use_table(conn: OneConnection, table_id: int) -> None:
    """Take a table into use: imports that begin from now on ask it. Leads that are there: `locating.relocate`. Errors: Missing `locality_table_unknown`."""
    async with conn.transaction():
        await conn.execute(_NO_MORE)
        if await conn.fetchval(_USE, table_id, plan.NAME) is None:
            raise Missing("locality_table_unknown", "There is no such prefix table.", table_id=table_id)


_BOOKS = "select (select id from locality_tables where in_use), (select id from locality_tables where name = $1 and version = $2)"
_PLAN = "insert into locality_tables (name, version) values ($1, $2) on conflict (name, version) do update set name = excluded.name returning id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where to look: the prefix table in use (0: none), then the numbering plan's answers."""

    used: int
    plan: int


async def books(conn: Connection) -> Books:
    """The tables of this moment."""
    row = await conn.fetchrow(_BOOKS, plan.NAME, plan.VERSION)
    assert row is not None  # noqa: S101  # it is one row of two values
    return Books(used=row[0] or 0, plan=row[1] or await conn.fetchval(_PLAN, plan.NAME, plan.VERSION))


_MISSING = """
select b from unnest($1::text[]) b
where not exists (select from locality_blocks k where k.table_id = $2 and k.block = b)
  and not exists (select from locality_blocks k where k.table_id = $3 and k.block = b)
"""


async def is_unknown(conn: Connection, block: str) -> bool:
    """Does no table know this block yet? Then somebody should `know_blocks`, where that costs nobody anything."""
    where = await books(conn)
    return await conn.fetchrow(_MISSING, [block], where.used, where.plan) is not None


async def know_blocks(pool: Pool, where: Books, blocks: Iterable[str]) -> None:
    """Ask the numbering plan about the blocks that no table knows yet, and keep its answers. Not in a transaction of the caller: nobody waits for another's import."""
    missing = [row["b"] for row in await pool.fetch(_MISSING, sorted(set(blocks)), where.used, where.plan)]
    if missing:
        answers = await asyncio.to_thread(lambda: [(block, plan.place_of(block + "0000")) for block in missing])
        async with pool.acquire() as conn:
            await _write(conn, where.plan, answers, again=True)

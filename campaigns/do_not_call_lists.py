"""Lists of others (a national registry, an insurer's refusals), loaded as a whole under their category; `registry` lines of the rules look at their age.

A file that is empty, cut off or of another kind must not pass for a fresh list: what would lose most of the list before, or can hardly be read, is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.do_not_call import OWN
from campaigns.errors import BadInput, Conflict, Refused
from campaigns.numbers import normalise
from campaigns.sql import OneConnection
from campaigns.tables.open_table import open_table
from campaigns.tables.table import Table

MOST_WRONG: Final = 0.01
"""The share of lines that may be no number."""

_AT_ONCE: Final = 20_000
_LOAD_S: Final = 3600.0

_STAGE = "create temp table loaded_numbers (number text not null) on commit drop"
_BEFORE_AND_NOW = "select (select count(*) from do_not_call where category = $1) as before, (select count(distinct number) from loaded_numbers) as now"
_MERGE = """
with gone as (
    delete from do_not_call d where d.category = $1 and not exists (select from loaded_numbers s where s.number = d.number)
)
insert into do_not_call (number, reason, source, user_id, created_at, category)
select distinct s.number, $1, $2, $3::uuid, $4::timestamptz, $1 from loaded_numbers s
on conflict do nothing
"""
_LOADED = """
insert into do_not_call_lists (category, loaded_at, entries, source, user_id)
select $1, $4, count(*), $2, $3 from do_not_call where category = $1
on conflict (category) do update set loaded_at = excluded.loaded_at, entries = excluded.entries, source = excluded.source, user_id = excluded.user_id
returning entries
"""


async def load_list(
    conn: OneConnection,
    category: str,
    numbers: AsyncIterable[str],
    *,
    source: str,
    now: datetime,
    user_id: UUID | None = None,
    anyway: bool = False,
) -> int:
    """Put a whole list in the place of the one before, all or nothing; says how many numbers it has.

    Numbers are E.164. Errors: BadInput `number_invalid`; Conflict `list_is_own`: our own entries are made one by one; Refused `list_shrinks`, unless `anyway`:
    it has no number, or less than half of those of the list before.
    """
    if category == OWN:
        raise Conflict("list_is_own", "Our own entries are made one by one; give the list another category.")
    async with conn.transaction():
        await conn.execute(
            "set local statement_timeout = 0"
        )  # millions of numbers take their time, and wait for nobody
        await conn.execute(_STAGE)
        part: list[tuple[str]] = []
        async for number in numbers:
            part.append((number,))
            if len(part) == _AT_ONCE:
                await conn.copy_records_to_table("loaded_numbers", records=part)
                part.clear()
        await conn.copy_records_to_table("loaded_numbers", records=part)
        await conn.execute("analyze loaded_numbers", timeout=_LOAD_S)
        if not anyway:
            await _check_size(conn, category)
        try:
            await conn.execute(_MERGE, category, source, user_id, now, timeout=_LOAD_S)
            entries: int = await conn.fetchval(_LOADED, category, source, user_id, now, timeout=_LOAD_S)
        except asyncpg.CheckViolationError as error:
            raise BadInput(
                "number_invalid", "A number is not in E.164 form, or the category is no word; nothing was loaded."
            ) from error
    await conn.execute("analyze do_not_call", timeout=_LOAD_S)
    return entries


async def _check_size(conn: OneConnection, category: str) -> None:
    sizes = await conn.fetchrow(_BEFORE_AND_NOW, category, timeout=_LOAD_S)
    assert sizes is not None  # noqa: S101 -- it is one row
    if sizes["now"] == 0 or sizes["now"] * 2 < sizes["before"]:
        raise Refused(
            "list_shrinks",
            f"There are {sizes['now']} numbers in it and {sizes['before']} in the list before: nothing was loaded. "
            "If it is the right file, say that it shall be loaded anyway.",
            numbers=sizes["now"],
            before=sizes["before"],
        )


@dataclass(slots=True)
class _Lines:
    """Numbers of a file as they are read: those that are good come out, the others are counted."""

    table: Table
    region: str
    seen: int = 0
    wrong: int = 0
    first_wrong: int | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        for record in self.table:
            text = record.cells[0].strip() if record.cells else ""
            if not text or (self.seen == 0 and not any(map(str.isdigit, text))):  # a title above the numbers
                continue
            self.seen += 1
            try:
                yield normalise(text, self.region).e164
            except BadInput:
                self.wrong += 1
                self.first_wrong = self.first_wrong or record.line


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFile:
    """What a list has now; `left_out` lines were no number, `first_left_out` is the first of them (from 1)."""

    entries: int
    left_out: int
    first_left_out: int | None


async def load_file(
    conn: OneConnection,
    category: str,
    path: Path,
    *,
    region: str,
    now: datetime,
    encoding: str | None = None,
    user_id: UUID | None = None,
    anyway: bool = False,
) -> LoadedFile:
    """`load_list` from a file with a number at the beginning of each line (or in the first column of a workbook); `region`: where numbers without a country code belong.

    Reads as it goes, so it is for a process that has nothing else to do. Errors: as `load_list` and `open_table`; Refused `list_unreadable`, unless `anyway`:
    more than one line in a hundred is no number.
    """
    table = open_table(path, None, encoding=encoding)
    lines = _Lines(table, region)
    try:
        entries = await load_list(
            conn, category, _readable(lines, anyway=anyway), source=path.name, now=now, user_id=user_id, anyway=anyway
        )
    finally:
        table.close()
    return LoadedFile(entries=entries, left_out=lines.wrong, first_left_out=lines.first_wrong)


async def _readable(lines: _Lines, *, anyway: bool) -> AsyncIterator[str]:
    async for number in lines:
        yield number
    if lines.wrong > lines.seen * MOST_WRONG and not anyway:
        raise Refused(
            "list_unreadable",
            f"{lines.wrong} of {lines.seen} lines are no number, the first is line {lines.first_wrong}: nothing was loaded. "
            "If it is the right file, say that it shall be loaded anyway.",
            line=lines.first_wrong,
            wrong=lines.wrong,
            lines=lines.seen,
        )

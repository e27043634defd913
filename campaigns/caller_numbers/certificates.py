"""Certificates (码号证书): what allows us to show a number, and from when until when. A number that ever had one is shown only on days that one covers."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.sql import Connection, OneConnection

MOST_BYTES: Final = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The file's name and SHA-256 (hex), the first and the last day it covers, who put it in, and why it counts no more if so."""

    id: UUID
    caller_number_id: UUID
    file_name: str
    sha256: str
    size: int
    valid_from: date
    valid_until: date
    user_id: UUID | None
    created_at: datetime
    withdrawn_at: datetime | None
    withdrawn_why: str | None


_COLUMNS = """
id, caller_number_id, file_name, encode(sha256, 'hex') as sha256, length(content) as size, valid_from, valid_until, user_id, created_at, withdrawn_at,
withdrawn_why
"""
_KNOWN = "select id from caller_numbers where id = $1 for no key update"
_ADD = f"""
insert into caller_number_certificates (caller_number_id, file_name, sha256, content, valid_from, valid_until, user_id, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning {_COLUMNS}
"""
_COVER = """
update caller_numbers n
set certified = (select coalesce(range_agg(daterange(c.valid_from, c.valid_until, '[]')) filter (where c.withdrawn_at is null), '{}')
                 from caller_number_certificates c where c.caller_number_id = n.id)
where n.id = $1
"""


async def add(
    conn: OneConnection,
    caller_number_id: UUID,
    *,
    file_name: str,
    content: bytes,
    valid_from: date,
    valid_until: date,
    user_id: UUID | None,
    now: datetime,
) -> Certificate:
    """Keep a certificate; from now on the number is shown only on days that one of its certificates covers. All or nothing.

    Errors: BadInput `certificate_days`, `certificate_size`; Conflict `certificate_there`; Missing `caller_number_unknown`.
    """
    if valid_until < valid_from:
        raise BadInput("certificate_days", "A certificate ends on its first day or later.")
    if not 0 < len(content) <= MOST_BYTES:
        raise BadInput("certificate_size", f"A certificate has 1 byte to {MOST_BYTES // 1024 // 1024} MB.")
    async with conn.transaction():
        if await conn.fetchval(_KNOWN, caller_number_id) is None:
            raise Missing("caller_number_unknown", "There is no such caller number.")
        try:
            row = await conn.fetchrow(
                _ADD,
                caller_number_id,
                file_name,
                hashlib.sha256(content).digest(),
                content,
                valid_from,
                valid_until,
                user_id,
                now,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict("certificate_there", "This file is kept for this number and these days already.") from error
        await conn.execute(_COVER, caller_number_id)
    assert row is not None  # noqa: S101 -- an insert that returns nothing has raised
    return Certificate(**row)


_LIST = f"select {_COLUMNS} from caller_number_certificates where caller_number_id = $1 order by valid_until desc, created_at desc"


async def list_certificates(conn: OneConnection, caller_number_id: UUID) -> list[Certificate]:
    """Those of a number, withdrawn ones too, the one that lasts longest first. Errors: Missing `caller_number_unknown`."""
    rows = await conn.fetch(_LIST, caller_number_id)
    if not rows and await conn.fetchval("select id from caller_numbers where id = $1", caller_number_id) is None:
        raise Missing("caller_number_unknown", "There is no such caller number.")
    return [Certificate(**row) for row in rows]


_ENDING = """
select n.number, n.owner, upper(c.days) - 1 as last_day
from caller_numbers n cross join lateral (select ($1::timestamptz at time zone n.zone)::date as today) t
left join lateral (select days from unnest(n.certified) days where days @> t.today) c on true
where n.state <> 'retired' and n.certified is not null and (c.days is null or upper(c.days) <= t.today + $2::integer)
order by last_day nulls first, n.number limit $3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A number whose certificates run out. `last_day`: the last one that they cover without a gap; None: they do not cover today."""

    number: str
    owner: str
    last_day: date | None


async def ending(conn: Connection, now: datetime, *, within_days: int, limit: int) -> list[Ending]:
    """Numbers that are not retired, ever had a certificate, and have none in so many days of their zone: those that have none today first."""
    return [Ending(**row) for row in await conn.fetch(_ENDING, now, within_days, limit)]


_FILE = "select file_name, content from caller_number_certificates where id = $1 and caller_number_id = $2"


async def file_of(conn: OneConnection, caller_number_id: UUID, certificate_id: UUID) -> tuple[str, bytes]:
    """Name and content of the file. Errors: Missing `certificate_unknown`."""
    row = await conn.fetchrow(_FILE, certificate_id, caller_number_id)
    if row is None:
        raise _unknown()
    return row["file_name"], row["content"]


_WITHDRAW = f"""
update caller_number_certificates set withdrawn_at = $3, withdrawn_why = $4
where id = $1 and caller_number_id = $2 and withdrawn_at is null
returning {_COLUMNS}
"""


async def withdraw(
    conn: OneConnection, caller_number_id: UUID, certificate_id: UUID, *, why: str, now: datetime
) -> Certificate:
    """It counts no more; it stays in the list with the reason. All or nothing. Errors: Missing `certificate_unknown`; BadInput `reason_missing`."""
    if not why:
        raise BadInput("reason_missing", "Say why this certificate counts no more.")
    async with conn.transaction():
        row = await conn.fetchrow(_WITHDRAW, certificate_id, caller_number_id, now, why)
        if row is None:
            raise _unknown()
        await conn.execute(_COVER, caller_number_id)
    return Certificate(**row)


def _unknown() -> Missing:
    return Missing("certificate_unknown", "The number has no such certificate, or it was withdrawn.")

"""Judging a project's leads by its filter and order, in small steps beside the dialling, so that a claim never asks a filter.

First those that the filter leaves out are held, the next to be dialled first; then the others are let go, in their order. While the first are not yet
held, the project is not dialled: nobody outside the filter is called, not even for the seconds that it takes.
Broken off (a killed engine), it is begun again by whoever looks next.
"""

# what is put together here is ours: see filters.py and ordering.py; values are always arguments

from __future__ import annotations

from typing import Final
from uuid import UUID

import asyncpg

from campaigns.sql import OneConnection
from campaigns.supply.filters import compile_filter
from campaigns.supply.ordering import rank_sql
from campaigns.supply.supplies import get_supply

CHUNK: Final = 5_000
AHEAD: Final = 50_000
"""So many leads are held before dialling goes on: the judging is faster than any dialling, and stays ahead."""

_LOCK_SPACE: Final = 0x53494654  # "SIFT"
_TIMEOUT_S: Final = 900.0

_OPEN = "update supplies set opened = $2 where project_id = $1 and wanted = $2"
_FAR = "update supplies set judged = $3, to_judge = $4 where project_id = $1 and wanted = $2 returning project_id"
_DONE = "update supplies set applied = $2, opened = $2, applied_at = clock_timestamp(), matching = $3, error = null where project_id = $1 and wanted = $2"

_FAILED = "update supplies set failed = wanted, error = $2 where project_id = $1"

_JUDGED = """
create temporary table judged on commit preserve rows as
select l.id, l.held, {member} as member, {rank} as rank, l.rank as rank_before, l.priority, l.next_at,
       l.number, l.place_id, l.kind
from leads l left join places pl on pl.id = l.place_id
where l.project_id = $1 and l.state in ('new', 'retry', 'in_flight', 'callback')
"""
_CHANGES = """
create temporary table changes on commit preserve rows as
select row_number() over (order by member, priority desc, next_at, case when member then rank else rank_before end, id) as n, id, member, rank, number, place_id, kind
from judged where held = member or (member and rank <> rank_before)
"""
_NUMBERS = "select (select count(*) from changes where not member) as out, (select count(*) from changes) as changes, (select count(*) from judged where member) as matching"
# Who got another number or place meanwhile was judged with it.
_APPLY = """
update leads l set held = not c.member, rank = case when c.member then c.rank else l.rank end
from changes c where c.n > $1 and c.n <= $2 and l.id = c.id and l.number = c.number and l.place_id is not distinct from c.place_id
  and l.kind is not distinct from c.kind
"""
_CLEAN = "drop table if exists judged; drop table if exists changes"


async def sift(conn: OneConnection, project_id: UUID) -> bool:
    """Judge all leads of a project by its supply as it is now; False when another does that at this moment, when it was changed meanwhile, or when it cannot be done (the supply's `error`).

    `conn` must not be in a transaction: each step is its own.
    """
    if not await conn.fetchval("select pg_try_advisory_lock($1, hashtext($2))", _LOCK_SPACE, str(project_id)):
        return False
    try:
        return await _sift(conn, project_id)
    except asyncpg.DataError as error:
        await conn.execute(_FAILED, project_id, str(error)[:500])
        return False
    finally:
        await conn.execute(_CLEAN)
        await conn.execute("reset statement_timeout")
        await conn.execute("select pg_advisory_unlock($1, hashtext($2))", _LOCK_SPACE, str(project_id))


async def _sift(conn: OneConnection, project_id: UUID) -> bool:
    supply = await get_supply(conn, project_id)
    compiled = compile_filter(supply.filter, first=2)
    rank, more = rank_sql(supply.ordering, first=2 + len(compiled.arguments))
    await conn.execute(_CLEAN)
    await conn.execute(f"set statement_timeout = '{int(_TIMEOUT_S)}s'")
    judged = _JUDGED.format(member=compiled.sql, rank=rank)
    await conn.execute(judged, project_id, *compiled.arguments, *more, timeout=_TIMEOUT_S)
    await conn.execute(_CHANGES, timeout=_TIMEOUT_S)
    await conn.execute("create index on changes (n); analyze changes", timeout=_TIMEOUT_S)
    numbers = await conn.fetchrow(_NUMBERS, timeout=_TIMEOUT_S)
    assert numbers is not None  # noqa: S101  # it is one row
    done, opened = 0, False
    while done < numbers["changes"]:
        await conn.execute(_APPLY, done, done + CHUNK, timeout=_TIMEOUT_S)
        done += CHUNK
        if not opened and done >= min(numbers["out"], AHEAD):
            await conn.execute(_OPEN, project_id, supply.wanted)
            opened = True
        if (
            await conn.fetchval(_FAR, project_id, supply.wanted, min(done, numbers["changes"]), numbers["changes"])
            is None
        ):
            return False
    return bool((await conn.execute(_DONE, project_id, supply.wanted, numbers["matching"])).endswith(" 1"))


_WAITING = """
select project_id from supplies
where (applied <> wanted and failed is distinct from wanted) or (applied = wanted and resift and applied_at < clock_timestamp() - make_interval(secs => $1))
order by changed_at
"""


async def waiting(conn: OneConnection, *, resift_after_s: float) -> list[UUID]:
    """The projects whose leads are to be judged: after a change or an import, and now and then where calls or time change what a filter says."""
    return [row["project_id"] for row in await conn.fetch(_WAITING, resift_after_s)]

"""Places of quotas: taken and given back exactly, whoever else takes at the same moment. Whoever changes a place holds the quota's row; rows are locked by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from campaigns.sql import Connection, OneConnection

ABANDONED_AFTER: Final = timedelta(hours=1)
"""A call that ended so long ago without any result gives back its places when somebody needs one: no wrap-up lasts longer."""

_THERE = "insert into script_quotas (project_id, script_id, cell) select $1, $2, cell from unnest($3::text[]) cell on conflict do nothing"
_LOCK = """
select cell, taken from script_quotas where project_id = $1 and script_id = $2 and cell = any($3::text[]) order by cell for update
"""
_HELD = "select cell, kept from script_places where attempt_id = $1"
_TAKE = "insert into script_places (attempt_id, cell, project_id, script_id, kept) select $1, cell, $2, $3, $4 from unnest($5::text[]) cell"
_KEEP = "update script_places set kept = $2 where attempt_id = $1 and kept <> $2"
_GIVE_BACK = "delete from script_places where attempt_id = $1 and cell = any($2::text[])"
_COUNT = (
    "update script_quotas set taken = taken + $4 where project_id = $1 and script_id = $2 and cell = any($3::text[])"
)
_ABANDONED = """
with gone as (
    delete from script_places p using attempts a
    where p.project_id = $1 and p.script_id = $2 and p.cell = $3 and not p.kept and a.id = p.attempt_id and a.state = 'ended'
      and (a.wrapped_at is not null or a.ended_at < $4)
    returning 1
)
select count(*) from gone
"""


async def held_by(conn: OneConnection, attempt_id: UUID) -> dict[str, bool]:
    """The places of a call, and whether each is kept."""
    return {row["cell"]: row["kept"] for row in await conn.fetch(_HELD, attempt_id)}


async def take(
    conn: OneConnection, attempt_id: UUID, *, project_id: UUID, script_id: UUID, limits: Mapping[str, int], now: datetime
) -> frozenset[str]:  # fmt: skip
    """Take a place of each of these quotas that has one; gives those that are full. In a transaction, after `lock`."""
    if not limits:
        return frozenset()
    taken = {row["cell"]: row["taken"] for row in await conn.fetch(_LOCK, project_id, script_id, sorted(limits))}
    full = set[str]()
    for cell, limit in sorted(limits.items()):
        if taken[cell] >= limit:
            given_back = await conn.fetchval(_ABANDONED, project_id, script_id, cell, now - ABANDONED_AFTER)
            if given_back:
                await conn.execute(_COUNT, project_id, script_id, [cell], -given_back)
            if taken[cell] - given_back >= limit:
                full.add(cell)
    got = [cell for cell in limits if cell not in full]
    if got:
        await conn.execute(_COUNT, project_id, script_id, got, 1)
        await conn.execute(_TAKE, attempt_id, project_id, script_id, False, got)
    return frozenset(full)


async def lock(conn: OneConnection, project_id: UUID, script_id: UUID, cells: Collection[str]) -> None:
    """Hold these quotas until the end of the transaction."""
    if cells:
        names = sorted(cells)
        await conn.execute(_THERE, project_id, script_id, names)
        await conn.execute(_LOCK, project_id, script_id, names)


async def give_back(
    conn: OneConnection, attempt_id: UUID, project_id: UUID, script_id: UUID, cells: Collection[str]
) -> None:
    """Give places back. In a transaction, after `lock`."""
    if cells:
        await conn.execute(_GIVE_BACK, attempt_id, sorted(cells))
        await conn.execute(_COUNT, project_id, script_id, sorted(cells), -1)


async def keep(conn: OneConnection, attempt_id: UUID, kept: bool) -> None:
    """Say whether the places of a call belong to a complete questionnaire."""
    await conn.execute(_KEEP, attempt_id, kept)


_STATE = "select cell, taken from script_quotas where project_id = $1 and script_id = $2"


async def taken_of(conn: Connection, project_id: UUID, script_id: UUID) -> dict[str, int]:
    """How many places of each quota are taken; those that nobody came to are not in it."""
    return {row["cell"]: row["taken"] for row in await conn.fetch(_STATE, project_id, script_id)}

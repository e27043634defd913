"""Giving the leads that are there the place the tables say now, after a table was replaced, and the kind of their number, where they have none yet."""

# ruff: noqa: S608  # what is put together here are constants; values are always arguments

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from campaigns.locality.locating import PLACE, REGION
from campaigns.locality.place import block_of
from campaigns.locality.tables import Books, books, know_blocks
from campaigns.sql import Pool
from campaigns.supply.judging import judge
from campaigns.supply.kinds import keep_kinds

CHUNK: Final = 5_000

_NEXT_CHUNK = "select id, number from leads where id > $1 order by id limit $2"

_RELOCATE = f"""
update leads l set place_id = n.place_id, zone = n.zone, region = n.region
from (
    select l.id, place.id as place_id, nullif(place.zone, '') as zone, {REGION} as region
    from leads l {PLACE.format(used="$2", plan="$3", number="l.number")}
    where l.id = any ($1::bigint[])
) n
where l.id = n.id and (l.place_id is distinct from n.place_id or l.zone is distinct from n.zone or l.region is distinct from n.region)
returning l.id, l.project_id
"""


async def relocate(pool: Pool, *, progress: Callable[[int], None] | None = None) -> int:
    """Give all leads their place, in small steps beside the dialling; says how many had another. May be broken off and begun again.

    Who is outside the project's filter by the new place or kind is held in the same transaction, who is inside is let go.
    """
    where: Books = await books(pool)
    after = changed = seen = 0
    while rows := await pool.fetch(_NEXT_CHUNK, after, CHUNK):
        await know_blocks(pool, where, [block_of(row["number"]) for row in rows])
        moved: defaultdict[UUID, list[int]] = defaultdict(list)
        async with pool.acquire() as conn, conn.transaction():
            for row in await conn.fetch(_RELOCATE, [row["id"] for row in rows], where.used, where.plan):
                moved[row["project_id"]].append(row["id"])
            of_other_kind = await keep_kinds(conn, {row["id"]: row["number"] for row in rows})
            await judge(
                conn, {one: [*moved.get(one, ()), *of_other_kind.get(one, ())] for one in {*moved, *of_other_kind}}
            )
        changed += sum(map(len, moved.values()))
        seen += len(rows)
        after = rows[-1]["id"]
        if progress is not None:
            progress(seen)
    return changed

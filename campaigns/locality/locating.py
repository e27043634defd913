"""Where numbers are at home, as the tables say: one number for people, all leads again after a table was replaced."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from campaigns.locality import plan
from campaigns.locality.place import Place, block_of
from campaigns.locality.tables import Books, books, know_blocks
from campaigns.sql import Connection, Pool

CHUNK: Final = 5_000

PLACE: Final = """
left join locality_blocks used on used.table_id = {used} and used.block = left({number}, -4)
left join locality_blocks planned on planned.table_id = {plan} and planned.block = left({number}, -4)
left join places place on place.id = coalesce(used.place_id, planned.place_id)
"""
"""Joins the place of a number: the prefix table's word before the numbering plan's."""

REGION: Final = "nullif(case when place.country = 'CN' then place.province else place.country end, '')"
"""What the calling rules call the region: the province at home, elsewhere the country (ISO 3166)."""

PLACE_NOW: Final = PLACE.format(
    used="(select id from locality_tables where in_use)",
    plan=f"(select max(id) from locality_tables where name = '{plan.NAME}')",
    number="{number}",
)
"""The same by the tables of the moment, for a single number."""

_ONE = f"""
select place.country, place.province, place.city, place.carrier, place.zone
from (select $1::text as number) n {PLACE_NOW.format(number="n.number")}
"""


async def locate(conn: Connection, e164: str) -> Place:
    """The place of one number as far as the tables know it, else its zone: cheap, for a process that has other things to do."""
    row = await conn.fetchrow(_ONE, e164)
    if row is None or row["country"] is None:
        return Place(country="", zone=plan.zone_of(e164))
    return Place(**row)


_NEXT_CHUNK = "select id, number from leads where id > $1 order by id limit $2"

_RELOCATE = f"""
update leads l set place_id = n.place_id, zone = n.zone, region = n.region
from (
    select l.id, place.id as place_id, nullif(place.zone, '') as zone, {REGION} as region
    from leads l {PLACE.format(used="$2", plan="$3", number="l.number")}
    where l.id = any ($1::bigint[])
) n
where l.id = n.id and (l.place_id is distinct from n.place_id or l.zone is distinct from n.zone or l.region is distinct from n.region)
"""


async def relocate(pool: Pool, *, progress: Callable[[int], None] | None = None) -> int:
    """Give all leads the place the tables say now, in small steps beside the dialling; says how many had another. May be broken off and begun again."""
    where: Books = await books(pool)
    after = changed = seen = 0
    while rows := await pool.fetch(_NEXT_CHUNK, after, CHUNK):
        await know_blocks(pool, where, [block_of(row["number"]) for row in rows])
        done = await pool.execute(_RELOCATE, [row["id"] for row in rows], where.used, where.plan)
        changed += int(done.rpartition(" ")[2])
        seen += len(rows)
        after = rows[-1]["id"]
        if progress is not None:
            progress(seen)
    return changed

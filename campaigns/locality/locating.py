"""Where numbers are at home, as the tables say: the SQL that joins a place to a number, and one number for people."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from typing import Final

from campaigns.locality import plan
from campaigns.locality.place import Place
from campaigns.sql import Connection

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

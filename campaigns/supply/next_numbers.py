"""Several numbers of one person: when a number is used up without an answer, the next one is tried. Done beside the dialling, never in the end of a call.

Used up: the lead would end (`done`, `exhausted`) and nobody has answered. A number that is a lead of the project already, or must not be called for good, is passed over;
one that may be called later waits for it.
Attempts go on counting: the project's most attempts are for the person, not for each number.
"""

# ruff: noqa: S608  # what is put together here are constants; values are always arguments

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Final
from uuid import UUID

from campaigns.do_not_call_sql import listed_for_good
from campaigns.locality.locating import PLACE_NOW, REGION
from campaigns.sql import Pool
from campaigns.supply.judging import judge
from campaigns.supply.kinds import keep_kinds

AT_ONCE: Final = 500
ANSWERED: Final = ("connected", "abandoned", "hung_up_early")
"""Outcomes of calls that somebody has taken: then the other numbers are not tried."""

_LISTED = listed_for_good(number="u.number", client="f.client", project="f.project_id", region="null")
_NEXT: Final = f"""
with front as materialized (
    select l.id, l.project_id, p.client, l.other_numbers,
           l.attempts < p.max_attempts and l.last_outcome <> all ($3::text[]) and l.last_outcome is not null as wanted
    from leads l join projects p on p.id = l.project_id
    where l.state in ('done', 'exhausted') and l.other_numbers <> '{{}}'
    order by l.id limit $1
    for no key update of l skip locked
),
usable as materialized (
    select f.id, f.project_id, u.number, u.place
    from front f cross join lateral (
        select u.number, u.place from unnest(f.other_numbers) with ordinality u (number, place)
        where not exists (select from leads o where o.number = u.number and o.project_id = f.project_id)
          and not {_LISTED}
        order by u.place limit 1
    ) u
    where f.wanted
),
chosen as materialized (         -- two people with the same next number: one of them now, the other finds it taken
    select distinct on (project_id, number) * from usable order by project_id, number, id
),
moved as (
    select c.*, place.id as place_id, nullif(place.zone, '') as zone, {REGION} as region
    from (select id, number, place as at from chosen) c {PLACE_NOW.format(number="c.number")}
)
update leads l
set number = coalesce(m.number, l.number),
    former_numbers = l.former_numbers || case when m.id is null then l.other_numbers else array[l.number] || l.other_numbers[:m.at - 1] end,
    other_numbers = case when m.id is null then '{{}}' else l.other_numbers[m.at + 1:] end,
    state = case when m.id is null then l.state else 'retry' end,
    next_at = case when m.id is null then l.next_at else $2 end,
    place_id = case when m.id is null then l.place_id else m.place_id end,
    zone = case when m.id is null then l.zone else m.zone end,
    region = case when m.id is null then l.region else m.region end
from front f left join moved m using (id)
where l.id = f.id and (m.id is not null or not exists (select from usable u where u.id = f.id))
returning m.id as moved, l.number, l.project_id
"""


async def next_numbers(pool: Pool, now: datetime) -> int:
    """Give up to `AT_ONCE` leads their next number; how many got one. Who is outside the project's filter by that number is held from the same moment on.

    Leads whose other numbers are not wanted any more keep them as former ones.
    """
    moved: defaultdict[UUID, list[int]] = defaultdict(list)
    numbers: dict[int, str] = {}
    async with pool.acquire(timeout=5) as conn, conn.transaction():
        for row in await conn.fetch(_NEXT, AT_ONCE, now, ANSWERED):
            if row["moved"] is not None:
                moved[row["project_id"]].append(row["moved"])
                numbers[row["moved"]] = row["number"]
        await keep_kinds(conn, numbers)
        await judge(conn, moved)
    return sum(map(len, moved.values()))

"""The calls of the last 32 days to each number, which sliding caps count. The claim writes them; here what nobody counts any more is forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from campaigns.sql import Connection

KEPT: Final = timedelta(days=32)
"""As long as the longest cap looks back; the claim cuts a number's calls to the same (`claim._KEPT`)."""

_FORGET = """
with looked_at as (select number, called[cardinality(called)] as latest from callees where number > $1 order by number limit $3),
idle as (select c.number from callees c join looked_at l using (number) where l.latest <= $2 and c.called[cardinality(c.called)] <= $2 order by c.number for update of c skip locked),
gone as (delete from callees c using idle i where c.number = i.number and c.called[cardinality(c.called)] <= $2 returning c.number)
select (select count(*) from looked_at) as looked_at, (select max(number) from looked_at) as latest, (select count(*) from gone) as gone
"""


async def forget_idle(conn: Connection, now: datetime, *, after: str = "", at_most: int = 1_000) -> tuple[str, int]:
    """Look at the next numbers after `after`, in their order, and forget those that nobody has called for `KEPT`.

    Gives where to go on (empty: from the beginning again) and how many were forgotten. Costs the same however many numbers there are.
    """
    row = await conn.fetchrow(_FORGET, after, now - KEPT, at_most)
    if row is None or row["looked_at"] < at_most:
        return "", 0 if row is None else row["gone"]
    return row["latest"], row["gone"]

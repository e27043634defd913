"""The last gate: what is about to be sent, asked of the database once more when its attempts are committed and before any of them is dialled.

Between the two a number may have been retired, taken off the list, or its certificate withdrawn. Whoever answers such a change afterwards has the engine's
word as well: it drops the number from its memory before it answers, and looks there again in the same breath as it sends.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from campaigns.sql import Connection

_MAY_GO = """
select n.number
from projects p
join project_caller_numbers a on a.project_id = p.id
join caller_numbers n on n.id = a.caller_number_id
where p.id = $1 and n.trunk_id = $2 and n.number = any ($3) and may_be_shown(n, p.purpose, ($4::timestamptz at time zone p.zone)::date)
  and ($5::text is null or exists (select from caller_numbers d where d.number = $5 and d.trunk_id = $2 and d.state <> 'retired'))
"""


async def may_go(
    conn: Connection,
    project_id: UUID,
    trunk_id: UUID,
    numbers: Collection[str],
    *,
    diversion: str | None,
    now: datetime,
) -> frozenset[str]:
    """Those of `numbers` that the project may show over this trunk at this moment; none when `diversion`, which goes along with them, may not be shown."""
    rows = await conn.fetch(_MAY_GO, project_id, trunk_id, list(numbers), now, diversion)
    return frozenset(row["number"] for row in rows)

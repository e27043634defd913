"""Judging single leads by their project's filter as it is now: those whose number or place has just changed, in the transaction that changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from campaigns.sql import OneConnection
from campaigns.supply.filters import compile_filter
from campaigns.supply.supplies import get_supply

# Kept as they are until the end of the transaction: who sets another filter judges after us, and sees what we have done.
_FILTERED = "select project_id from supplies where project_id = any ($1::uuid[]) order by project_id for share"

_JUDGE: Final = """
update leads l set held = not j.member
from (select l.id, {member} as member from leads l left join places pl on pl.id = l.place_id where l.project_id = $1 and l.id = any ($2::bigint[])) j
where l.id = j.id and l.held = j.member
"""


async def judge(conn: OneConnection, changed: Mapping[UUID, Sequence[int]]) -> None:
    """Hold those of these leads (by their projects) that the filter leaves out, and let the others go. `conn` is in the transaction that changed them."""
    for row in await conn.fetch(_FILTERED, list(changed)):
        project_id = row["project_id"]
        supply = await get_supply(conn, project_id)
        compiled = compile_filter(supply.filter, first=3)
        judged = _JUDGE.format(member=compiled.sql)
        await conn.execute(judged, project_id, list(changed[project_id]), *compiled.arguments)

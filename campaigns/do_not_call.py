"""The do-not-call list. Every claiming statement looks into it, so an entry holds from its commit on, on every node.

Leads of the number leave the lists at once; one that is being called leaves when the call ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput
from campaigns.sql import Connection

_MANY: Final = 1000


_ADD = """
with added as (
    insert into do_not_call (number, reason, source, user_id, created_at)
    select distinct number, $2, $3, $4::uuid, $5::timestamptz from unnest($1::text[]) number order by number
    on conflict do nothing
    returning number
),
left_the_list as (
    update leads l set state = 'do_not_call', callback_agent_id = null
    from (select l.id from leads l where l.number = any ($1::text[]) and l.state in ('new', 'retry', 'callback') order by l.id for no key update) target
    where l.id = target.id
)
select count(*) from added
"""


async def add(
    conn: Connection, numbers: Sequence[str], *, reason: str, source: str, now: datetime, user_id: UUID | None = None
) -> int:
    """Enter numbers (E.164) and say how many are new; those that are there keep their first reason.

    Errors: BadInput `number_invalid`: one of them is not E.164, and none was entered.
    """
    try:
        added: int = await conn.fetchval(_ADD, list(numbers), reason, source, user_id, now)
    except asyncpg.CheckViolationError as error:
        raise BadInput("number_invalid", "One of the numbers is not in E.164 form; nothing was entered.") from error
    if len(numbers) >= _MANY:
        await conn.execute("analyze do_not_call")  # or claims go on with a plan made for a short list
    return added


_REMOVE = "delete from do_not_call where number = $1 returning number"


async def remove(conn: Connection, number: str) -> bool:
    """Take a number off. Its leads stay out of the lists: calling them again is a decision of its own."""
    return await conn.fetchval(_REMOVE, number) is not None


_CONTAINS = "select exists (select from do_not_call where number = $1)"


async def contains(conn: Connection, number: str) -> bool:
    """Whether this number (E.164) must not be called."""
    return bool(await conn.fetchval(_CONTAINS, number))

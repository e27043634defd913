"""The do-not-call lists. Every claiming statement looks into them, so an entry holds from its commit on, on every node.

An entry is for everybody, for a client or for a project; for a number, a prefix or a region; for good or until a time. Leads of a number leave the lists at
once; one that is being called leaves when the call ends. Entries of a category other than `own` belong to a list that is loaded as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Conflict, Missing, Refused
from campaigns.sql import Connection, OneConnection

OWN: Final = "own"
_MANY: Final = 1000
_AT_ONCE: Final = 20_000
_LOAD_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whom an entry holds for: everybody, a client's projects, or one project; until `expires_at` (None: for good).

    `guarded_until`: before it the entry is not lifted, unless consent was given after it was made.
    """

    client: str | None = None
    project_id: UUID | None = None
    expires_at: datetime | None = None
    guarded_until: datetime | None = None


EVERYBODY: Final = Reach()

_ADD = """
with added as (
    insert into do_not_call (number, reason, source, user_id, created_at, client, project_id, expires_at, guarded_until)
    select distinct number, $2, $3, $4::uuid, $5::timestamptz, $6::text, $7::uuid, $8::timestamptz, $9::timestamptz from unnest($1::text[]) number order by number
    on conflict do nothing
    returning number
),
left_the_list as (
    update leads l set state = 'do_not_call', callback_agent_id = null
    from (select l.id from leads l join projects p on p.id = l.project_id
          where l.number = any ($1::text[]) and l.state in ('new', 'retry', 'callback')
            and ($6::text is null or p.client = $6) and ($7::uuid is null or p.id = $7) and coalesce($8, 'infinity') > $5
          order by l.id for no key update of l) target
    where l.id = target.id
)
select count(*) from added
"""


async def add(
    conn: Connection,
    numbers: Sequence[str],
    *,
    reason: str,
    source: str,
    now: datetime,
    user_id: UUID | None = None,
    reach: Reach = EVERYBODY,
) -> int:
    """Enter numbers (E.164) and say how many are new; those that are there keep their first reason.

    Errors: BadInput `number_invalid`: one of them is not E.164, `reach_malformed`: for a client or a project, not both (nothing was entered); Missing `project_unknown`.
    """
    try:
        added: int = await conn.fetchval(
            _ADD, list(numbers), reason, source, user_id, now, reach.client, reach.project_id, reach.expires_at, reach.guarded_until
        )  # fmt: skip
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "do_not_call_one_reach":
            raise _malformed_reach() from error
        raise BadInput("number_invalid", "One of the numbers is not in E.164 form; nothing was entered.") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error
    if len(numbers) >= _MANY:
        await conn.execute("analyze do_not_call")  # or claims go on with a plan made for a short list
    return added


def _malformed_reach() -> BadInput:
    return BadInput("reach_malformed", "An entry is for everybody, for a client or for a project: name one of them.")


_GUARD = """
select d.guarded_until from do_not_call d
where d.number = $1 and d.category = 'own' and d.guarded_until > $2
  and not exists (select from consents c where c.number = d.number and c.granted_at > d.created_at and coalesce(c.withdrawn_at, 'infinity') > $2
                                           and coalesce(c.expires_at, 'infinity') > $2 and (c.client = '' or c.client = d.client))
order by d.guarded_until desc limit 1
"""
_REMOVE = "delete from do_not_call where number = $1 and category = 'own' returning number"


async def remove(conn: Connection, number: str, *, now: datetime) -> bool:
    """Take a number off our own list. Its leads stay out of the lists: calling them again is a decision of its own.

    Errors: Refused `do_not_call_guarded`: an entry may not be lifted yet, and no consent came after it.
    """
    guarded: datetime | None = await conn.fetchval(_GUARD, number, now)
    if guarded is not None:
        raise Refused(
            "do_not_call_guarded",
            f"This entry is not lifted before {guarded:%Y-%m-%d %H:%M} UTC, unless consent is given anew.",
            guarded_until=guarded.isoformat(),
        )
    return await conn.fetchval(_REMOVE, number) is not None


_CONTAINS = "select exists (select from do_not_call where number = $1 and coalesce(expires_at, 'infinity') > $2)"


async def contains(conn: Connection, number: str, *, now: datetime) -> bool:
    """Whether this number (E.164) must not be called, by anybody or by some."""
    return bool(await conn.fetchval(_CONTAINS, number, now))


_ADD_AREA = """
insert into do_not_call_areas (kind, value, client, project_id, reason, expires_at, user_id, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing returning value
"""


async def add_area(
    conn: Connection,
    kind: str,
    value: str,
    *,
    reason: str,
    now: datetime,
    user_id: UUID | None = None,
    reach: Reach = EVERYBODY,
) -> bool:
    """Enter a prefix (`prefix`, +8610) or a region (`region`, as leads name it); False when it is there.

    Errors: BadInput `area_malformed`, `reach_malformed`; Missing `project_unknown`.
    """
    if reach.client is not None and reach.project_id is not None:
        raise _malformed_reach()
    try:
        return await conn.fetchval(
            _ADD_AREA, kind, value, reach.client, reach.project_id, reason, reach.expires_at, user_id, now
        ) is not None  # fmt: skip
    except asyncpg.CheckViolationError as error:
        raise BadInput(
            "area_malformed", "An area is a prefix such as +8610, or a region by the name leads have it."
        ) from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error


_REMOVE_AREA = "delete from do_not_call_areas where kind = $1 and value = $2 returning value"


async def remove_area(conn: Connection, kind: str, value: str) -> bool:
    """Take a prefix or region off, for everybody."""
    return bool(await conn.fetch(_REMOVE_AREA, kind, value))


_STAGE = "create temp table loaded_numbers (number text not null) on commit drop"
_MERGE = """
with gone as (
    delete from do_not_call d where d.category = $1 and not exists (select from loaded_numbers s where s.number = d.number)
)
insert into do_not_call (number, reason, source, user_id, created_at, category)
select distinct s.number, $1, $2, $3::uuid, $4::timestamptz, $1 from loaded_numbers s
on conflict do nothing
"""
_LOADED = """
insert into do_not_call_lists (category, loaded_at, entries, source, user_id)
select $1, $4, count(*), $2, $3 from do_not_call where category = $1
on conflict (category) do update set loaded_at = excluded.loaded_at, entries = excluded.entries, source = excluded.source, user_id = excluded.user_id
returning entries
"""


async def load_list(
    conn: OneConnection,
    category: str,
    numbers: AsyncIterable[str],
    *,
    source: str,
    now: datetime,
    user_id: UUID | None = None,
) -> int:
    """Put a whole list (a national registry, an insurer's refusals) in the place of the one before, all or nothing; says how many numbers it has.

    Numbers are E.164. Errors: BadInput `number_invalid`; Conflict `list_is_own`: our own entries are made one by one.
    """
    if category == OWN:
        raise Conflict("list_is_own", "Our own entries are made one by one; give the list another category.")
    async with conn.transaction():
        await conn.execute(
            "set local statement_timeout = 0"
        )  # millions of numbers take their time, and wait for nobody
        await conn.execute(_STAGE)
        part: list[tuple[str]] = []
        async for number in numbers:
            part.append((number,))
            if len(part) == _AT_ONCE:
                await conn.copy_records_to_table("loaded_numbers", records=part)
                part.clear()
        await conn.copy_records_to_table("loaded_numbers", records=part)
        await conn.execute("analyze loaded_numbers", timeout=_LOAD_S)
        try:
            await conn.execute(_MERGE, category, source, user_id, now, timeout=_LOAD_S)
            entries: int = await conn.fetchval(_LOADED, category, source, user_id, now, timeout=_LOAD_S)
        except asyncpg.CheckViolationError as error:
            raise BadInput(
                "number_invalid", "A number is not in E.164 form, or the category is no word; nothing was loaded."
            ) from error
    await conn.execute("analyze do_not_call", timeout=_LOAD_S)
    return entries

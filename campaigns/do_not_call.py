"""The do-not-call lists. Every claiming statement looks into them, so an entry holds from its commit on, on every node.

An entry is for everybody, for a client or for a project; for a number, a prefix or a region; for good or until a time. By an entry for good, leads of a number
leave the lists at once; one that is being called leaves when the call ends. An entry with an end only keeps them waiting. What holds for longer takes the place
of the entry of the same reach that is there; nothing makes one shorter. Other categories than `own` are loaded as a whole (`do_not_call_lists`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.do_not_call_sql import AREA_ENTERED_AGAIN, ENTERED_AGAIN, listed
from campaigns.errors import BadInput, Missing, Refused
from campaigns.locality.locating import PLACE_NOW, REGION
from campaigns.sql import Connection
from campaigns.supply.supplies import entry, judge_again

OWN: Final = "own"
_MANY: Final = 1000


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

_ADD = f"""
with added as (
    insert into do_not_call as d (number, reason, source, user_id, created_at, client, project_id, expires_at, guarded_until)
    select distinct number, $2, $3, $4::uuid, $5::timestamptz, $6::text, $7::uuid, $8::timestamptz, $9::timestamptz from unnest($1::text[]) number order by number
    {ENTERED_AGAIN}
    returning number
),
left_the_list as (
    update leads l set state = 'do_not_call', callback_agent_id = null
    from (select l.id from leads l join projects p on p.id = l.project_id
          where l.number = any ($1::text[]) and l.state in ('new', 'retry', 'callback')
            and ($6::text is null or p.client = $6) and ($7::uuid is null or p.id = $7) and $8 is null
          order by l.id for no key update of l) target
    where l.id = target.id
)
select count(*) from added
"""  # noqa: S608 -- constants


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
    """Enter numbers (E.164) and say how many are new or hold for longer now; the others keep their first reason.

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
where d.number = $1 and d.category = 'own' and d.client is not distinct from $3 and d.project_id is not distinct from $4 and d.guarded_until > $2
  and not exists (select from consents c where c.number = d.number and c.granted_at > d.created_at and coalesce(c.withdrawn_at, 'infinity') > $2
                                           and coalesce(c.expires_at, 'infinity') > $2 and (c.client = '' or c.client = d.client))
"""
_REMOVE = """
with gone as (
    delete from do_not_call where number = $1 and category = 'own' and client is not distinct from $3 and project_id is not distinct from $4
    returning number, expires_at
),
due_again as (          -- who waited for its end need not wait any longer
    update leads l set next_at = $2 from gone g
    where l.number = g.number and g.expires_at > $2 and l.state in ('new', 'retry') and l.next_at > $2 and l.last_attempt_at is null
)
select exists (select from gone)
"""


async def remove(
    conn: Connection, number: str, *, now: datetime, client: str | None = None, project_id: UUID | None = None
) -> bool:
    """Take one entry of a number off our own list: the one for everybody, for a client or for a project. Entries of another reach stay.

    Leads that left their lists stay out: `bring_back` is a decision of its own.
    Errors: Refused `do_not_call_guarded`: the entry may not be lifted yet, and no consent came after it.
    """
    guarded: datetime | None = await conn.fetchval(_GUARD, number, now, client, project_id)
    if guarded is not None:
        raise Refused(
            "do_not_call_guarded",
            f"This entry is not lifted before {guarded:%Y-%m-%d %H:%M} UTC, unless consent is given anew.",
            guarded_until=guarded.isoformat(),
        )
    return bool(await conn.fetchval(_REMOVE, number, now, client, project_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An entry that holds for a number. `what`: its category (`own`, or a list's), or the prefix or region it is for."""

    what: str
    client: str | None
    project_id: UUID | None
    reason: str
    created_at: datetime
    expires_at: datetime | None
    guarded_until: datetime | None


_STANDING = f"""
select d.category as what, d.client, d.project_id, d.reason, d.created_at, d.expires_at, d.guarded_until from do_not_call d
where d.number = $1 and coalesce(d.expires_at, 'infinity') > $2
union all
select d.kind || ' ' || d.value, d.client, d.project_id, d.reason, d.created_at, d.expires_at, null
from do_not_call_areas d cross join (select {REGION} as region from (select $1::text as number) n {PLACE_NOW.format(number="n.number")}) known
where (d.kind = 'prefix' and d.value = any (prefixes_of($1)) or d.kind = 'region' and d.value = known.region) and coalesce(d.expires_at, 'infinity') > $2
order by created_at, what
"""  # noqa: S608 -- constants


async def standing(conn: Connection, number: str, *, now: datetime) -> list[Standing]:
    """Everything by which this number (E.164) must not be called, by anybody or by some; areas by where the tables say that it is at home. The oldest first."""
    return [Standing(**row) for row in await conn.fetch(_STANDING, number, now)]


_ADD_AREA = f"""
insert into do_not_call_areas as d (kind, value, client, project_id, reason, expires_at, user_id, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
{AREA_ENTERED_AGAIN} returning value
"""  # noqa: S608 -- constants


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
    """Enter a prefix (`prefix`, +8610) or a region (`region`, as leads name it); False when it is there and holds as long.

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


_REMOVE_AREA = """
delete from do_not_call_areas where kind = $1 and value = $2 and client is not distinct from $3 and project_id is not distinct from $4 returning value
"""


async def remove_area(
    conn: Connection, kind: str, value: str, *, client: str | None = None, project_id: UUID | None = None
) -> bool:
    """Take off the entry of a prefix or region for everybody, for a client or for a project. Entries of another reach stay."""
    return await conn.fetchval(_REMOVE_AREA, kind, value, client, project_id) is not None


_BRING_BACK = f"""
update leads l
set state = case when l.last_attempt_at is null then 'new' else 'retry' end, next_at = $3, held = $4, rank = $5
from projects p
where p.id = l.project_id and l.project_id = $1 and l.number = any ($2::text[]) and l.state = 'do_not_call'
  and not {listed(number="l.number", client="p.client", project="p.id", region="l.region", at="$3::timestamptz")}
returning l.id
"""  # noqa: S608 -- constants


async def bring_back(conn: Connection, project_id: UUID, numbers: Sequence[str], *, now: datetime) -> int:
    """Let a project call numbers (E.164) again that are on no list any more; how many of its leads are back. Its filter and its most attempts hold for them as for all.

    `conn` is in a transaction.
    """
    place = await entry(conn, project_id)
    back = await conn.fetch(_BRING_BACK, project_id, list(numbers), now, place.held, place.rank)
    if back:
        await judge_again(conn, project_id)
    return len(back)

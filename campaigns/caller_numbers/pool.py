"""The pool of caller numbers, and the lists of the projects. Only `allow` puts a number on a project's list."""

# ruff: noqa: S608  # what is put together here are constants of this package; values are always arguments

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg

from campaigns.caller_numbers.number import COLUMNS, CallerNumber, caller_number
from campaigns.errors import BadInput, Conflict, Missing
from campaigns.locality import plan
from campaigns.locality.place import city_name, province_name
from campaigns.numbers import normalise
from campaigns.sql import Connection
from campaigns.states import CallerNumberState

_ADD = f"""
insert into caller_numbers (number, trunk_id, province, city, zone) values ($1, $2, $3, $4, coalesce(nullif($5, ''), 'Asia/Shanghai')) returning {COLUMNS}
"""


async def add(
    conn: Connection, number: str, trunk_id: UUID, *, region: str = "CN", province: str = "", city: str = ""
) -> CallerNumber:
    """Take a number into the pool, at home in `province` and `city` as far as they are known.

    Errors: those of `numbers.normalise`; Conflict `caller_number_taken`; Missing `trunk_unknown`.
    """
    e164 = normalise(number, region).e164
    try:
        row = await conn.fetchrow(_ADD, e164, trunk_id, province_name(province), city_name(city), plan.zone_of(e164))
    except asyncpg.UniqueViolationError as error:
        raise Conflict("caller_number_taken", "This caller number is already listed.") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("trunk_unknown", "There is no such trunk.") from error
    return caller_number(row)


_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SET_STATE = f"""
update caller_numbers
set state = $2, why = $3, rests_until = $4,
    watched_from = case when $2 = 'active' and state <> 'active' then $5::timestamptz else watched_from end,
    alarm = case when $2 = 'active' and state <> 'active' then null else alarm end
where id = $1 returning {COLUMNS}
"""


async def set_state(
    conn: Connection,
    caller_number_id: UUID,
    state: CallerNumberState,
    why: str | None,
    *,
    rests_until: datetime | None = None,
    now: datetime | None = None,
) -> CallerNumber:
    """Let a number rest (until a moment, or until somebody ends it), retire it, or use it again: the next claim sees it.

    From `now` on the health of a number that is used again is judged; None: by all that is known.

    Errors: BadInput `reason_missing`, `rest_end_without_rest`; Missing `caller_number_unknown`.
    """
    if state is not CallerNumberState.ACTIVE and not why:
        raise BadInput("reason_missing", "Say why this number rests or is retired.")
    if rests_until is not None and state is not CallerNumberState.RESTING:
        raise BadInput("rest_end_without_rest", "Only a number that rests can have an end of its rest.")
    return _there(await conn.fetchrow(_SET_STATE, caller_number_id, state.value, why, rests_until, now or _EVER))


_WAKE = f"""
update caller_numbers set state = 'active', rests_until = null, watched_from = $1, alarm = null
where state = 'resting' and rests_until <= $1
returning {COLUMNS}
"""


async def wake(conn: Connection, now: datetime) -> list[CallerNumber]:
    """Numbers whose rest is over are used again, and judged by what comes from now on; `why` still says why they rested."""
    return [caller_number(row) for row in await conn.fetch(_WAKE, now)]


_TODAY = "($8::timestamptz at time zone n.zone)::date"
_BEGINS = "coalesce($5::integer, $6::integer) is not null and n.max_per_day is null and n.cool_after_calls is null"
# What a number showed today is counted with each call only while it has a limit by days or a cool-down: when it gets one, the calls of the day so far are counted.
_SET_LIMITS = f"""
update caller_numbers n
set max_channels = $2, max_cps = $3, max_per_hour = $4, max_per_day = $5, cool_after_calls = $6, cool_min = $7, used_since_cool = 0,
    cools_until = case when $7::integer is not null then n.cools_until end,
    used_on = case when {_BEGINS} then {_TODAY} else n.used_on end,
    used_today = case when {_BEGINS} then (select count(*) from attempts a where a.id >= uuid7_floor({_TODAY}::timestamp at time zone n.zone)
                                           and a.caller_number = n.number) else n.used_today end
where n.id = $1 returning {COLUMNS}
"""


async def set_limits(
    conn: Connection,
    caller_number_id: UUID,
    *,
    max_channels: int | None,
    max_cps: Decimal | None,
    max_per_hour: int | None,
    max_per_day: int | None = None,
    cool_after_calls: int | None = None,
    cool_min: int | None = None,
    now: datetime,
) -> CallerNumber:
    """What the number may carry: all are set; None: no limit. A limit by days counts what the number showed that day before it was set, but for
    calls that are being claimed in that moment; to count them the attempts of the day are read once. Errors: BadInput `cool_down_half`; Missing `caller_number_unknown`.
    """
    if (cool_after_calls is None) != (cool_min is None):
        raise BadInput("cool_down_half", "A cool-down needs both: after how many calls, and for how many minutes.")
    return _there(
        await conn.fetchrow(
            _SET_LIMITS,
            caller_number_id,
            max_channels,
            max_cps,
            max_per_hour,
            max_per_day,
            cool_after_calls,
            cool_min,
            now,
        )
    )


_SET_FACTS = f"""
update caller_numbers
set owner = coalesce($2, owner), purposes = coalesce($3::text[], purposes), province = coalesce($4, province), city = coalesce($5, city),
    zone = coalesce($6, zone)
where id = $1 returning {COLUMNS}
"""


async def set_facts(
    conn: Connection,
    caller_number_id: UUID,
    *,
    owner: str | None = None,
    purposes: Collection[str] | None = None,
    province: str | None = None,
    city: str | None = None,
    zone: str | None = None,
) -> CallerNumber:
    """Whose it is, what it may be shown for, where it is at home, whose days count; None stays. Errors: Missing `caller_number_unknown`."""
    return _there(
        await conn.fetchrow(
            _SET_FACTS,
            caller_number_id,
            owner,
            None if purposes is None else sorted(purposes),
            None if province is None else province_name(province),
            None if city is None else city_name(city),
            zone,
        )
    )


_ALLOW = """
with gone as (
    delete from project_caller_numbers where project_id = $1 and caller_number_id <> all ($2::uuid[])
)
insert into project_caller_numbers (project_id, caller_number_id) select $1, id from unnest($2::uuid[]) id
on conflict do nothing
"""


async def allow(conn: Connection, project_id: UUID, caller_number_ids: Iterable[UUID]) -> None:
    """Make these numbers, and no others, the list of a project. Errors: Missing `project_or_caller_number_unknown`."""
    try:
        await conn.execute(_ALLOW, project_id, list(caller_number_ids))
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_or_caller_number_unknown", "There is no such project or caller number.") from error


def _there(row: asyncpg.Record | None) -> CallerNumber:
    if row is None:
        raise Missing("caller_number_unknown", "There is no such caller number.")
    return caller_number(row)

"""Caller numbers (透传号码): which numbers a project may show, and which of them the next call shows.

Only `allow` puts a number on a project's list, and only a number of the list comes out of `choose`; the claim asks the database again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.numbers import normalise
from campaigns.sql import Connection
from campaigns.states import CallerNumberState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerNumber:
    """A number we may show, and the trunk it belongs to. `why` says why it rests or was retired.

    `max_channels` calls at once, `max_cps` new calls a second, `max_per_hour` in any hour; None: no limit of its own.
    """

    id: UUID
    number: str
    trunk_id: UUID
    state: CallerNumberState = CallerNumberState.ACTIVE
    why: str | None = None
    max_channels: int | None = None
    max_cps: Decimal | None = None
    max_per_hour: int | None = None


def choose(listed: Sequence[CallerNumber], in_use: Mapping[str, int], trunk_id: UUID) -> CallerNumber | None:
    """The active number of the list on this trunk that is least in use; None when there is none (then nothing is dialled).

    `in_use` counts the present uses by number, in the order of their last use, the latest at the end: of equals the one unused for longest is chosen,
    so an idle pool goes round.
    """
    fit = [number for number in listed if number.state is CallerNumberState.ACTIVE and number.trunk_id == trunk_id]
    last_use = {number: place for place, number in enumerate(in_use)}
    return min(fit, key=lambda one: (in_use.get(one.number, 0), last_use.get(one.number, -1)), default=None)


_ADD = "insert into caller_numbers (number, trunk_id) values ($1, $2) returning *"


async def add(conn: Connection, number: str, trunk_id: UUID, *, region: str = "CN") -> CallerNumber:
    """Take a number into the pool. Errors: those of `numbers.normalise`; Conflict `caller_number_taken`; Missing `trunk_unknown`."""
    try:
        row = await conn.fetchrow(_ADD, normalise(number, region).e164, trunk_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("caller_number_taken", "This caller number is already listed.") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("trunk_unknown", "There is no such trunk.") from error
    return caller_number(row)


_SET_STATE = "update caller_numbers set state = $2, why = $3 where id = $1 returning *"


async def set_state(
    conn: Connection, caller_number_id: UUID, state: CallerNumberState, why: str | None
) -> CallerNumber:
    """Let a number rest, retire it, or use it again: the next claim sees it. Errors: BadInput `reason_missing`; Missing `caller_number_unknown`."""
    if state is not CallerNumberState.ACTIVE and not why:
        raise BadInput("reason_missing", "Say why this number rests or is retired.")
    row = await conn.fetchrow(_SET_STATE, caller_number_id, state.value, why)
    if row is None:
        raise Missing("caller_number_unknown", "There is no such caller number.")
    return caller_number(row)


_SET_LIMITS = """
update caller_numbers set max_channels = $2, max_cps = $3, max_per_hour = $4 where id = $1 returning *
"""


async def set_limits(
    conn: Connection,
    caller_number_id: UUID,
    *,
    max_channels: int | None,
    max_cps: Decimal | None,
    max_per_hour: int | None,
) -> CallerNumber:
    """What the number may carry: all three are set; None: no limit. Errors: Missing `caller_number_unknown`."""
    row = await conn.fetchrow(_SET_LIMITS, caller_number_id, max_channels, max_cps, max_per_hour)
    if row is None:
        raise Missing("caller_number_unknown", "There is no such caller number.")
    return caller_number(row)


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


def caller_number(row: Mapping[str, Any] | asyncpg.Record | None) -> CallerNumber:
    """A row of `caller_numbers`, or the same as a JSON object."""
    assert row is not None  # noqa: S101 -- `returning` without a condition always gives a row
    return CallerNumber(
        id=UUID(str(row["id"])),
        number=row["number"],
        trunk_id=UUID(str(row["trunk_id"])),
        state=CallerNumberState(row["state"]),
        why=row["why"],
        max_channels=row["max_channels"],
        max_cps=None if row["max_cps"] is None else Decimal(str(row["max_cps"])),
        max_per_hour=row["max_per_hour"],
    )

"""What a project's supply is: saved, counted before it is used, shown."""

# ruff: noqa: S608  # what is put together here is ours: see filters.py; values are always arguments

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing
from campaigns.sql import Connection, OneConnection
from campaigns.supply.filters import compile_filter
from campaigns.supply.ordering import OrderBy, Ordering

COUNT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """A project's filter (None: everybody) and order. `applied`: all leads are judged by it; meanwhile `judged` of `to_judge` are.

    `error`: why they cannot be; the project is not dialled until it is changed.
    """

    project_id: UUID
    filter: Any
    ordering: Ordering
    alarm_hours: int
    wanted: int
    applied: bool
    applied_at: datetime | None
    judged: int
    to_judge: int
    matching: int | None
    error: str | None = None


_GET = "select * from supplies where project_id = $1"


async def get_supply(conn: Connection, project_id: UUID) -> Supply:
    """A project's supply; one that nobody has set is everybody, oldest first."""
    row = await conn.fetchrow(_GET, project_id)
    if row is None:
        return Supply(
            project_id=project_id, filter=None, ordering=Ordering(), alarm_hours=4, wanted=0, applied=True, applied_at=None,
            judged=0, to_judge=0, matching=None,
        )  # fmt: skip
    return Supply(
        project_id=project_id,
        filter=row["filter"],
        ordering=ordering_of(row["ordering"], retry_first=row["retry_first"]),
        alarm_hours=row["alarm_hours"],
        wanted=row["wanted"],
        applied=row["applied"] == row["wanted"],
        applied_at=row["applied_at"],
        judged=row["judged"],
        to_judge=row["to_judge"],
        matching=row["matching"],
        error=row["error"],
    )


def ordering_of(kept: Mapping[str, Any], *, retry_first: bool) -> Ordering:
    """An order as it is kept."""
    return Ordering(
        by=OrderBy(kept.get("by", OrderBy.OLDEST)),
        column=kept.get("column"),
        descending=kept.get("descending", False),
        seed=kept.get("seed", 0),
        retry_first=retry_first,
        weights={UUID(one): weight for one, weight in kept.get("weights", {}).items()},
    )


_SET = """
insert into supplies (project_id, filter, ordering, retry_first, alarm_hours, user_id, resift)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (project_id) do update
set filter = excluded.filter, ordering = excluded.ordering, retry_first = excluded.retry_first, alarm_hours = excluded.alarm_hours,
    user_id = excluded.user_id, resift = excluded.resift, wanted = supplies.wanted + 1, judged = 0, to_judge = 0, changed_at = clock_timestamp()
"""


async def set_supply(
    conn: OneConnection,
    project_id: UUID,
    *,
    condition: Any,
    ordering: Ordering,
    alarm_hours: int = 4,
    user_id: UUID | None = None,
) -> None:
    """Save a filter and an order; an engine judges the leads by it (`sifting.sift`), beside the dialling.

    From the commit on the project is not dialled until those leads at the front that the filter leaves out are out of the way.
    Errors: BadInput `filter_malformed`; Missing `project_unknown`.
    """
    compiled = compile_filter(condition)
    resift = compiled.uses_history or compiled.uses_time
    kept: dict[str, Any] = {"by": ordering.by.value, "seed": ordering.seed, "descending": ordering.descending}
    if ordering.column:
        kept["column"] = ordering.column
    if ordering.weights:
        kept["weights"] = {str(one): weight for one, weight in ordering.weights.items()}
    try:
        await conn.execute(_SET, project_id, condition, kept, ordering.retry_first, alarm_hours, user_id, resift)
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error


async def count_filter(conn: OneConnection, project_id: UUID, condition: Any) -> tuple[int, int]:
    """How many leads of a project that may still be called a filter takes in, and how many there are. Reads them all: for people, before they use it.

    Errors: BadInput `filter_malformed`, `filter_slow` (not counted within a minute).
    """
    compiled = compile_filter(condition, first=2)
    counted = f"""
    select count(*) filter (where {compiled.sql}) as matching, count(*) as leads
    from leads l left join places pl on pl.id = l.place_id
    where l.project_id = $1 and l.state in ('new', 'retry', 'in_flight', 'callback')
    """
    try:
        row = await conn.fetchrow(counted, project_id, *compiled.arguments, timeout=COUNT_S)
    except (TimeoutError, asyncpg.QueryCanceledError) as error:
        raise BadInput(
            "filter_slow", "The leads could not be counted within a minute: use it and see, or ask again later."
        ) from error
    assert row is not None  # noqa: S101  # an aggregate always gives a row
    return row["matching"], row["leads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How new leads enter a project: held until the filter has judged them, behind the others until they have their rank."""

    held: bool = False
    rank: int = 0


_LAST: Final = 2**63 - 1


async def entry(conn: Connection, project_id: UUID) -> Entry:
    """How leads that come now enter a project."""
    supply = await get_supply(conn, project_id)
    return Entry(held=supply.filter is not None, rank=0 if supply.ordering.is_plain else _LAST)


_AGAIN = """
update supplies
set opened = case when opened = wanted then wanted + 1 else opened end, wanted = wanted + 1, judged = 0, to_judge = 0
where project_id = $1
"""


async def judge_again(conn: Connection, project_id: UUID) -> None:
    """New leads have come: an engine judges all of them, and dialling goes on meanwhile with those that were judged before."""
    await conn.execute(_AGAIN, project_id)

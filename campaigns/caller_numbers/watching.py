"""What the health of caller numbers is judged by, and what comes of it: alarms, rests that end by themselves, labels of label services."""

# ruff: noqa: S608  # what is put together here are constants of this package; values are always arguments

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from campaigns.caller_numbers.health import Drift, Record, Tally
from campaigns.caller_numbers.number import COLUMNS, CallerNumber, caller_number
from campaigns.errors import Conflict, Missing
from campaigns.sql import Connection, OneConnection

WINDOW: Final = timedelta(hours=48)
"""How far back a look goes; not beyond a rest."""

_WATCHED = f"""
select {COLUMNS} from caller_numbers n
where n.state <> 'retired' and exists (select from trunks t where t.id = n.trunk_id and ($1::text is null or t.node = $1) and ($2::uuid is null or t.id = $2))
order by n.number
"""
_TALLIES = """
select h.caller_number as number, h.project_id, sum(h.calls)::integer as calls, sum(h.answered)::integer as answered, sum(h.short)::integer as short
from caller_numbers n join caller_number_hours h on h.caller_number = n.number and h.hour >= greatest($2::timestamptz, n.watched_from)
where n.id = any ($1::uuid[])
group by 1, 2
"""
_COMPLAINTS = """
select n.number, count(*)::integer as complaints
from caller_numbers n join caller_number_complaints c on c.caller_number_id = n.id and c.created_at >= greatest($2::timestamptz, n.watched_from)
where n.id = any ($1::uuid[])
group by 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The numbers of one trunk that are not retired, and what each of them did in the time that is looked at."""

    trunk_id: UUID
    numbers: tuple[CallerNumber, ...]
    records: dict[str, Record]


async def pools(
    conn: Connection, now: datetime, *, node: str | None = None, trunk_id: UUID | None = None
) -> list[Pool]:
    """All pools of a node, or the one of a trunk. Costs some rows for each number, however long the history is."""
    numbers = [caller_number(row) for row in await conn.fetch(_WATCHED, node, trunk_id)]
    ids, since = [one.id for one in numbers], now - WINDOW
    tallies: defaultdict[str, dict[UUID, Tally]] = defaultdict(dict)
    for row in await conn.fetch(_TALLIES, ids, since):
        tallies[row["number"]][row["project_id"]] = Tally(
            calls=row["calls"], answered=row["answered"], short=row["short"]
        )
    complaints = {row["number"]: row["complaints"] for row in await conn.fetch(_COMPLAINTS, ids, since)}
    of_trunk: defaultdict[UUID, list[CallerNumber]] = defaultdict(list)
    for one in numbers:
        of_trunk[one.trunk_id].append(one)
    return [
        Pool(
            trunk_id=trunk,
            numbers=tuple(those),
            records={
                one.number: Record(by_project=tallies[one.number], complaints=complaints.get(one.number, 0))
                for one in those
            },
        )
        for trunk, those in of_trunk.items()
    ]


def words(drifts: tuple[Drift, ...], label: str, marks: int) -> str | None:
    """What is wrong with a number, in a sentence; None: nothing."""
    found = [drift.sentence for drift in drifts if drift.alarm]
    if label:
        found.append(f"it is labelled {label!r}" + (f" by {marks} people" if marks else ""))
    return "; ".join(found) or None


_SET_ALARM = f"update caller_numbers set alarm = $2 where id = $1 returning {COLUMNS}"
_REST = f"""
update caller_numbers n set state = 'resting', why = $2, rests_until = $3, alarm = $2
where n.id = $1 and n.state = 'active'
  and (select count(*) from caller_numbers o where o.trunk_id = n.trunk_id and o.state = 'active') * 2
      > (select count(*) from caller_numbers o where o.trunk_id = n.trunk_id and o.state <> 'retired')
returning {COLUMNS}
"""


async def set_alarm(conn: Connection, caller_number_id: UUID, alarm: str | None) -> CallerNumber:
    """Say what is wrong with a number, or that nothing is any more."""
    return caller_number(await conn.fetchrow(_SET_ALARM, caller_number_id, alarm))


async def rest(conn: Connection, caller_number_id: UUID, why: str, until: datetime) -> CallerNumber | None:
    """Let a number rest for what is wrong with it. None: it is not active, or half of its trunk's numbers rest already; then nobody rests by itself."""
    row = await conn.fetchrow(_REST, caller_number_id, why, until)
    return None if row is None else caller_number(row)


async def trunk_of(conn: Connection, caller_number_id: UUID) -> UUID | None:
    """The trunk a number belongs to; None: there is no such number."""
    trunk_id: UUID | None = await conn.fetchval("select trunk_id from caller_numbers where id = $1", caller_number_id)
    return trunk_id


_ADD_COMPLAINT = """
insert into caller_number_complaints (caller_number_id, attempt_id, source, note, user_id, created_at) values ($1, null, $2, $3, $4, $5)
"""
_OF_CALL = """
insert into caller_number_complaints (caller_number_id, attempt_id, source, note, user_id, created_at)
select n.id, a.id, $2, $3, $4, $5 from attempts a join caller_numbers n on n.number = a.caller_number where a.id = $1
on conflict (attempt_id) do nothing
returning id
"""
_ATTEMPT = "select id from attempts where id = $1"


async def add_complaint(
    conn: OneConnection, caller_number_id: UUID, *, source: str, note: str, user_id: UUID | None, now: datetime
) -> None:
    """Write down that somebody complained about calls from a number. Errors: Missing `caller_number_unknown`."""
    if await conn.fetchval("select id from caller_numbers where id = $1", caller_number_id) is None:
        raise Missing("caller_number_unknown", "There is no such caller number.")
    await conn.execute(_ADD_COMPLAINT, caller_number_id, source, note, user_id, now)


async def add_complaint_of_call(
    conn: OneConnection, attempt_id: UUID, *, source: str, note: str, user_id: UUID | None, now: datetime
) -> None:
    """The same, of one call: it counts for the number that the call showed. Errors: Missing `attempt_unknown`; Conflict `complaint_there`."""
    if await conn.fetchval(_OF_CALL, attempt_id, source, note, user_id, now) is None:
        if await conn.fetchval(_ATTEMPT, attempt_id) is None:
            raise Missing("attempt_unknown", "There is no such attempt.", attempt_id=str(attempt_id))
        raise Conflict("complaint_there", "A complaint about this call is written down already.")


_TO_LABEL = """
select n.id, n.number from caller_numbers n join trunks t on t.id = n.trunk_id
where t.node = $1 and n.state <> 'retired' and (n.labelled_at is null or n.labelled_at <= $2)
order by n.labelled_at nulls first, n.number limit $3
"""
_LABEL = "update caller_numbers set label = $2, label_marks = $3, labelled_at = $4 where id = $1"


async def to_label(conn: Connection, node: str, before: datetime, limit: int) -> list[tuple[UUID, str]]:
    """Numbers of a node that no label service was asked about since `before`, the longest unasked first."""
    return [(row["id"], row["number"]) for row in await conn.fetch(_TO_LABEL, node, before, limit)]


async def set_label(conn: Connection, caller_number_id: UUID, label: str, marks: int, now: datetime) -> None:
    """Keep what a label service says; an empty label: it knows none."""
    await conn.execute(_LABEL, caller_number_id, label, marks, now)

"""Finding recordings: one table, newest first by the id of the call, each filter beside an index that serves it (docs/recordings.md).

The statement is put together from what was asked for, so that the planner sees just that. Words and tags are looked for in the newest week first, and
further back only while the page is not full: how often a common word was written in a year does not matter then.
"""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from uuid import UUID

from dialer.db.history import RECORDING_COLUMNS, RecordingRow
from dialer.db.sql import Connection

LONGEST_RING = timedelta(minutes=10)
"""A call's id begins with the time it was placed; it was answered at most this much later."""


_WEEK_S = 7 * 24 * 3600
_MOST_WEEKS = 60
_FURTHER = 8
"""So much longer each time is the stretch that is looked at next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for; None: whatever. Times are of the answer; `text` is part of the agent's note, two characters at least."""

    project_id: UUID | None = None
    agent_id: UUID | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    disposition: str | None = None
    tag: str | None = None
    text: str | None = None
    fault: str | None = None
    shortest_ms: int | None = None
    longest_ms: int | None = None
    customer_spoke: bool | None = None
    dead_air_from_ms: int | None = None
    talk_over_from_ms: int | None = None
    monologue_from_ms: int | None = None
    first_word_from_ms: int | None = None


_CONDITIONS = {
    "project_id": "r.project_id = {}",
    "agent_id": "r.agent_id = {}",
    "state": "r.state = {}",
    "since": "r.started_at >= {}",
    "until": "r.started_at < {}",
    "number": "r.number = {}",
    "disposition": "r.disposition = {}",
    "tag": "r.tags @> array[{}::text]",
    "text": "position(lower({}) in lower(r.note)) > 0",
    "fault": "r.faults @> {}::text::jsonb",
    "shortest_ms": "r.duration_ms >= {}",
    "longest_ms": "r.duration_ms <= {}",
    "customer_spoke": "(r.customer_ms > 0) = {}",
    "dead_air_from_ms": "r.dead_air_ms >= {}",
    "talk_over_from_ms": "r.talk_over_ms >= {}",
    "monologue_from_ms": "r.longest_monologue_ms >= {}",
    "first_word_from_ms": "r.agent_first_word_ms >= {}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """Calls by when they were placed: from an id on, and before another; None: however far."""

    since: UUID | None = None
    before: UUID | None = None


def statement(wanted: Wanted, ids: Ids, *, limit: int) -> tuple[str, list[object]]:
    """The search as SQL and its arguments. The ids are found first, in an index alone where it can be; rows are read for the page only."""
    where, arguments = conditions(wanted, ids)
    arguments.append(limit)
    newest = f"order by r.attempt_id desc limit ${len(arguments)}"
    found = "found"
    if wanted.text is not None or wanted.tag is not None:
        # All hits from their index first: for a word that is nowhere, walking back from the newest would read everything.
        found, newest = "hits", f"), found as materialized (select r.attempt_id from hits r {newest}"
    sql = f"""
with {found} as materialized (
    select r.attempt_id from recordings r where {" and ".join(where) or "true"} {newest}
)
select {RECORDING_COLUMNS} from found f join recordings r on r.attempt_id = f.attempt_id join projects p on p.id = r.project_id
order by r.attempt_id desc
"""
    return sql, arguments


def conditions(wanted: Wanted, ids: Ids = Ids()) -> tuple[list[str], list[object]]:
    """What must hold of `recordings r`, and the arguments for it."""
    where: list[str] = []
    arguments: list[object] = []
    for one in fields(wanted):
        value = getattr(wanted, one.name)
        if value is None:
            continue
        arguments.append(json.dumps([{"fault": value}]) if one.name == "fault" else value)
        where.append(_CONDITIONS[one.name].format(f"${len(arguments)}"))
    # The same span as ids, which is what the indexes are sorted by.
    if wanted.since is not None:
        arguments.append(wanted.since - LONGEST_RING)
        where.append(f"r.attempt_id >= uuid7_floor(${len(arguments)}::timestamptz)")
    if wanted.until is not None:
        arguments.append(wanted.until)
        where.append(f"r.attempt_id < uuid7_floor(${len(arguments)}::timestamptz)")
    for how, bound in ((">=", ids.since), ("<", ids.before)):
        if bound is not None:
            arguments.append(bound)
            where.append(f"r.attempt_id {how} ${len(arguments)}")
    if wanted.text is not None or wanted.tag is not None:
        _intersect(wanted, ids, where, arguments)
    return where, arguments


def _intersect(wanted: Wanted, ids: Ids, where: list[str], arguments: list[object]) -> None:
    """Words, tag, project and weeks as terms of one index, so that no common word alone decides how much is read."""
    terms = "recording_terms(r.note, r.tags, r.project_id, r.attempt_id)"
    where.append("(r.note <> '' or r.tags <> '{}')")
    parts = []
    if wanted.text is not None:
        arguments.append(wanted.text)
        parts.append(f"pairs_of(${len(arguments)})")
    fixed = ([f"tag {wanted.tag}"] if wanted.tag is not None else []) + (
        [f"project {wanted.project_id}"] if wanted.project_id is not None else []
    )
    arguments.append(fixed)
    parts.append(f"${len(arguments)}::text[]")
    where.append(f"{terms} @> ({' || '.join(parts)})")
    first, end = _placed_from(wanted, ids), _placed_before(wanted, ids)
    if first is not None and end is not None and end // _WEEK_S - first // _WEEK_S < _MOST_WEEKS:
        arguments.append([f"week {week}" for week in range(first // _WEEK_S, end // _WEEK_S + 1)])
        where.append(f"{terms} && ${len(arguments)}::text[]")


def _placed_from(wanted: Wanted, ids: Ids) -> int | None:
    """The first second in which a call can have been placed."""
    known = [] if wanted.since is None else [int((wanted.since - LONGEST_RING).timestamp())]
    return max([*known, *_second(ids.since)], default=None)


def _placed_before(wanted: Wanted, ids: Ids) -> int | None:
    """The last second in which a call can have been placed."""
    known = [] if wanted.until is None else [int(wanted.until.timestamp())]
    return min([*known, *_second(ids.before)], default=None)


def _second(call: UUID | None) -> list[int]:
    return [] if call is None else [(call.int >> 80) // 1000]


async def search(conn: Connection, wanted: Wanted, *, before: UUID | None, limit: int) -> list[RecordingRow]:
    """Recordings, the newest call first, from before a call on."""
    if wanted.text is None and wanted.tag is None:
        return await _page(conn, wanted, Ids(before=before), limit)
    if before is None:
        newest: UUID | None = await conn.fetchval(_NEWEST)
        if newest is None:
            return []
        before = UUID(int=newest.int + 1)  # so that its weeks are known
    end = _placed_before(wanted, Ids(before=before))
    first = _placed_from(wanted, Ids()) or 0
    rows: list[RecordingRow] = []
    weeks = 1
    while end is not None and end >= first and len(rows) < limit:
        begin = end - weeks * _WEEK_S
        since = UUID(int=begin * 1000 << 80) if begin > first and weeks < _MOST_WEEKS else None
        rows += await _page(conn, wanted, Ids(since=since, before=before), limit - len(rows))
        end, before, weeks = begin if since else None, since, weeks * _FURTHER
    return rows


async def _page(conn: Connection, wanted: Wanted, ids: Ids, limit: int) -> list[RecordingRow]:
    sql, arguments = statement(wanted, ids, limit=limit)
    return [RecordingRow(**dict(row)) for row in await conn.fetch(sql, *arguments)]


_NEWEST = "select attempt_id from recordings order by attempt_id desc limit 1"
_TAG = "update recordings set tags = $2 where id = $1 returning project_id, attempt_id"


async def set_tags(conn: Connection, recording_id: UUID, tags: list[str]) -> tuple[UUID, UUID] | None:
    """Its tags from now on; the project and the call, or None where there is no such recording."""
    row = await conn.fetchrow(_TAG, recording_id, tags)
    return (row["project_id"], row["attempt_id"]) if row else None

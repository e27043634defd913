"""Samples for QA: drawn, claimed by one listener at a time, marked heard. Each statement right above the function that runs it."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from campaigns.sql import OneConnection
from dialer.db.recording_search import Wanted, conditions
from dialer.db.sql import Connection

MOST = 1_000_000
"""Recordings a sample is drawn from, at most."""

_AT_ONCE = 2000


class Stratum(StrEnum):
    """What a sample can be divided by."""

    PROJECT = "project"
    AGENT = "agent"
    DAY = "day"
    DISPOSITION = "disposition"
    LENGTH = "length"
    CUSTOMER_SPOKE = "customer_spoke"
    DEAD_AIR = "dead_air"


_OF: dict[Stratum, str] = {
    Stratum.PROJECT: "r.project_id::text",
    Stratum.AGENT: "coalesce(r.agent_id::text, '')",
    Stratum.DAY: "coalesce(to_char(r.started_at at time zone p.zone, 'YYYY-MM-DD'), '')",
    Stratum.DISPOSITION: "coalesce(r.disposition, '')",
    Stratum.LENGTH: "case when r.duration_ms < 30000 then 'under 30 s' when r.duration_ms < 120000 then '30 s to 2 min' else 'over 2 min' end",
    Stratum.CUSTOMER_SPOKE: "case when r.customer_ms > 0 then 'spoke' when r.customer_ms = 0 then 'silent' else '' end",
    Stratum.DEAD_AIR: "case when r.dead_air_ms > 0 then 'dead air' when r.dead_air_ms = 0 then 'none' else '' end",
}


async def population(conn: OneConnection, wanted: Wanted, strata: Sequence[Stratum]) -> list[tuple[UUID, str]]:
    """Stored recordings of a search, each with its stratum; one more than MOST where there are more. In a transaction.

    They are taken some at a time: reading hundreds of thousands in one go would hold up whatever else the event loop does.
    """
    where, arguments = conditions(wanted)
    stratum = f"concat_ws(' | ', {', '.join(_OF[one] for one in strata)})" if strata else "''"
    sql = f"""
select r.id, {stratum} as stratum from recordings r join projects p on p.id = r.project_id
where r.state = 'stored' and {" and ".join(where) or "true"} limit {MOST + 1}
"""
    return [(row["id"], row["stratum"]) async for row in conn.cursor(sql, *arguments, prefetch=_AT_ONCE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample and how far it has come."""

    id: UUID
    name: str
    seed: str
    strata: list[str]
    wanted: dict[str, Any]
    population: int
    created_at: datetime
    created_by: UUID | None
    size: int
    heard: int
    gone: int  # cannot be heard any more: on discs only, or deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A recording of a sample. Its chance to be in it was `drawn` of `population`."""

    sample_id: UUID
    recording_id: UUID
    position: int
    stratum: str
    drawn: int
    population: int
    claimed_by: UUID | None
    claimed_at: datetime | None
    heard_by: UUID | None
    heard_at: datetime | None


_ADD = """
insert into qa_samples (name, seed, strata, wanted, population, created_at, created_by) values ($1, $2, $3, $4::text::jsonb, $5, $6, $7) returning id
"""
_ADD_ITEMS = """
insert into qa_sample_items (sample_id, recording_id, position, stratum, drawn, population)
select $1, w.* from unnest($2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::integer[]) as w
"""


async def add(
    conn: Connection, *, name: str, seed: str, strata: Sequence[Stratum], wanted: Wanted, population: int, at: datetime, by: UUID | None,
    items: Sequence[tuple[UUID, str, int, int]],
) -> UUID:  # fmt: skip
    """Keep a sample: `items` are (recording, stratum, drawn, population) in the order in which they should be listened to. In a transaction."""
    asked = {name: getattr(wanted, name) for name in Wanted.__slots__ if getattr(wanted, name) is not None}
    sample_id: UUID = await conn.fetchval(
        _ADD, name, seed, list(strata), orjson.dumps(asked, default=str).decode(), population, at, by
    )
    columns = [list(column) for column in zip(*items, strict=True)] or [[], [], [], []]
    await conn.execute(
        _ADD_ITEMS, sample_id, columns[0], list(range(1, len(items) + 1)), columns[1], columns[2], columns[3]
    )
    return sample_id


_SAMPLE = """
select s.id, s.name, s.seed, s.strata, s.wanted::text as wanted, s.population, s.created_at, s.created_by, i.size, i.heard, i.gone
from qa_samples s cross join lateral
    (select count(*) as size, count(i.heard_at) as heard, count(*) filter (where i.heard_at is null and r.state <> 'stored') as gone
     from qa_sample_items i join recordings r on r.id = i.recording_id where i.sample_id = s.id) i
"""


async def one(conn: Connection, sample_id: UUID) -> Sample | None:
    """A sample."""
    row = await conn.fetchrow(_SAMPLE + " where s.id = $1", sample_id)
    return _sample(row) if row else None


async def page(conn: Connection, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Sample]:
    """Samples, newest first."""
    at, last = after or (None, None)
    where = " where ($1::timestamptz is null or (s.created_at, s.id) < ($1, $2::uuid)) order by s.created_at desc, s.id desc limit $3"
    return [_sample(row) for row in await conn.fetch(_SAMPLE + where, at, last, limit)]


def _sample(row: Any) -> Sample:
    return Sample(**{**dict(row), "wanted": orjson.loads(row["wanted"])})


_ITEM = "sample_id, recording_id, position, stratum, drawn, population, claimed_by, claimed_at, heard_by, heard_at"
_ITEMS = f"select {_ITEM} from qa_sample_items where sample_id = $1 and position > $2 order by position limit $3"


async def items(conn: Connection, sample_id: UUID, *, after: int, limit: int) -> list[Item]:
    """Its recordings, in their order."""
    return [Item(**dict(row)) for row in await conn.fetch(_ITEMS, sample_id, after, limit)]


_CLAIM = f"""
update qa_sample_items set claimed_by = $2, claimed_at = case when claimed_by = $2 and claimed_at >= $4 then claimed_at else $3 end
where (sample_id, recording_id) = (
    select i.sample_id, i.recording_id from qa_sample_items i join recordings r on r.id = i.recording_id
    where i.sample_id = $1 and i.heard_at is null and (i.claimed_by is null or i.claimed_by = $2 or i.claimed_at < $4) and r.state = 'stored'
    order by i.claimed_by is not distinct from $2 desc, i.given_back_at nulls first, i.position limit 1 for update of i skip locked
)
returning {_ITEM}
"""


async def claim(conn: Connection, sample_id: UUID, *, by: UUID, at: datetime, claimed_before: datetime) -> Item | None:
    """The listener's own claim, else the next recording that nobody listens to; claims from before a moment are over, what was given back comes last, and what
    cannot be heard (any more) is passed over. None: there is none left.
    """
    row = await conn.fetchrow(_CLAIM, sample_id, by, at, claimed_before)
    return Item(**dict(row)) if row else None


_HEARD = f"""
update qa_sample_items i set heard_by = $3, heard_at = $4
where sample_id = $1 and recording_id = $2 and claimed_by = $3 and heard_at is null and exists (
    select from audit_log a where a.subject_type = 'recording' and a.subject_id = $2::text and a.action = 'recording_listened'
    and a.user_id = $3 and a.at >= i.claimed_at)
returning {_ITEM}
"""
_UNCLAIM = """
update qa_sample_items set claimed_by = null, claimed_at = null, given_back_at = $4
where sample_id = $1 and recording_id = $2 and claimed_by = $3 and heard_at is null
"""


async def mark_heard(conn: Connection, sample_id: UUID, recording_id: UUID, *, by: UUID, at: datetime) -> Item | None:
    """Mark the listener's claim heard; None where it is not theirs, or the audit log has no listening of theirs since."""
    row = await conn.fetchrow(_HEARD, sample_id, recording_id, by, at)
    return Item(**dict(row)) if row else None


async def give_back(conn: Connection, sample_id: UUID, recording_id: UUID, *, by: UUID, at: datetime) -> bool:
    """Let somebody else have it; False where it is not the listener's."""
    return await conn.execute(_UNCLAIM, sample_id, recording_id, by, at) == "UPDATE 1"

"""What may leave the store because the archive has it, and how much that is. Reads only; files leave by `recorder/removals.py`, which looks again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from recorder.keeping import Kept
from recorder.retention.judge import Copy, may_release

if TYPE_CHECKING:
    from recorder.ledger import Conn

WALKED_AT_ONCE: Final = 10_000
BEGINNING: Final = UUID(int=0)

_COPIES = """
select i.recording_id, v.label, c.number, c.state = 'verified' as verified, c.lent_to is not null as lent
from archive_items i join archive_volumes v on v.id = i.volume_id join archive_copies c on c.volume_id = v.id
     join recordings r on r.id = i.recording_id and r.sha256 = i.sha256
where i.recording_id = any($1) and not i.void and v.state = 'sealed'
"""


async def on_good_copies(conn: Conn, kept: Sequence[Kept]) -> list[tuple[Kept, str]]:
    """Those that the rules let go, each with the sentence that says why: the verdict that counts."""
    copies: dict[UUID, list[Copy]] = {}
    labels: dict[UUID, str] = {}
    for row in await conn.fetch(_COPIES, [one.id for one in kept]):
        copy = Copy(number=row["number"], verified=row["verified"], lent=row["lent"])
        copies.setdefault(row["recording_id"], []).append(copy)
        labels[row["recording_id"]] = row["label"]
    return [
        (one, f"archived on {labels[one.id]}")
        for one in kept
        if one.id in labels and not may_release(one.policy, one.facts.holds, copies[one.id])
    ]


# The volumes that have as many good copies as their project's policy wants. What it says is what `on_good_copies` would: that one decides.
_GOOD = """
good as materialized (
    select v.id from archive_volumes v join archive_copies c on c.volume_id = v.id and c.state = 'verified' and c.lent_to is null
         left join project_retention q on q.project_id = v.project_id
         left join lateral (select body from retention_policies where name = q.policy order by version desc limit 1) p on true
    where v.state = 'sealed'
    group by v.id, p.body
    having count(*) >= case jsonb_typeof(p.body -> 'copies') when 'number' then (p.body ->> 'copies')::numeric else 2 end
)
"""
_NOT_HELD = """
not exists (select from legal_holds h where h.project_id = r.project_id and h.attempt_id is null and h.lifted_at is null)
and not exists (select from legal_holds h where h.project_id = r.project_id and h.attempt_id = r.attempt_id and h.lifted_at is null)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A stretch of the store's recordings: those of it that may go, with their bytes, and its last call (None: the end was reached)."""

    ids: tuple[UUID, ...]
    bytes: tuple[int, ...]
    last: UUID | None


_WALK = f"""
with {_GOOD}, walked as materialized (
    select id, attempt_id, project_id, sha256, bytes from recordings
    where state = 'stored' and attempt_id > $1 and attempt_id < uuid7_floor($2) order by attempt_id limit $3
), going as (
    select r.id, r.attempt_id, r.bytes from walked r join archive_items i on i.recording_id = r.id and not i.void and i.sha256 = r.sha256
    where i.volume_id in (select id from good) and {_NOT_HELD}
)
select coalesce(array_agg(id order by attempt_id), '{{}}') as ids, coalesce(array_agg(bytes order by attempt_id), '{{}}') as bytes,
       (select attempt_id from walked order by attempt_id offset $3 - 1) as last
from going
"""  # noqa: S608  # put together of constants of this file


async def walk(conn: Conn, *, after: UUID, before: datetime, count: int = WALKED_AT_ONCE) -> Walked:
    """The next stretch, oldest call first, of what lies in the store of calls before a moment."""
    row = await conn.fetchrow(_WALK, after, before, count)
    assert row is not None  # noqa: S101  # sums give a row
    return Walked(ids=tuple(row["ids"]), bytes=tuple(row["bytes"]), last=row["last"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """Bytes of recordings by where they lie."""

    store_bytes: int
    archived_bytes: int
    not_on_volumes_bytes: int
    releasable_bytes: int


_TIERS = f"""
with {_GOOD}
select coalesce(sum(r.bytes) filter (where r.state = 'stored'), 0)::bigint as store_bytes,
       coalesce(sum(r.bytes) filter (where r.state = 'archived'), 0)::bigint as archived_bytes,
       coalesce(sum(r.bytes) filter (where r.state = 'stored' and i.recording_id is null), 0)::bigint as not_on_volumes_bytes,
       coalesce(sum(r.bytes) filter (where r.state = 'stored' and i.sha256 = r.sha256 and i.volume_id in (select id from good) and {_NOT_HELD}), 0)::bigint
           as releasable_bytes
from recordings r left join archive_items i on i.recording_id = r.id and not i.void
where r.state in ('stored', 'archived')
"""  # noqa: S608  # put together of constants of this file


async def tiers(conn: Conn) -> Tiers:
    """Sums over all recordings: for a person who asks, not for a loop."""
    row = await conn.fetchrow(_TIERS)
    assert row is not None  # noqa: S101  # sums give a row
    return Tiers(**row)

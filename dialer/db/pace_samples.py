"""What the pacer decided, minute by minute, after the engine has forgotten the seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection

Figures = dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceSample:
    """The decisions of a minute. `limits`: how many were limited by what; `figures`: what was weighed, least, mean and most."""

    project_id: UUID
    began_at: datetime
    decisions: int
    placed: int
    limits: dict[str, int]
    figures: Figures


_SAVE = """
insert into pace_samples (project_id, began_at, decisions, placed, limits, figures)
select i.project_id, i.began_at, i.decisions, i.placed, i.limits, i.figures
from unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::integer[], $5::jsonb[], $6::jsonb[]) i (project_id, began_at, decisions, placed, limits, figures)
join projects p on p.id = i.project_id
on conflict do nothing
"""


async def save(conn: Connection, samples: Sequence[PaceSample]) -> None:
    """Keep them. May be repeated."""
    if samples:
        await conn.execute(
            _SAVE,
            [one.project_id for one in samples],
            [one.began_at for one in samples],
            [one.decisions for one in samples],
            [one.placed for one in samples],
            [one.limits for one in samples],
            [one.figures for one in samples],
        )


_BETWEEN = """
select project_id, began_at, decisions, placed, limits, figures from pace_samples
where project_id = $1 and began_at >= $2 and began_at < $3 order by began_at limit $4
"""


async def between(conn: Connection, project_id: UUID, since: datetime, until: datetime, limit: int) -> list[PaceSample]:
    """Of a project, oldest first."""
    rows = await conn.fetch(_BETWEEN, project_id, since, until, limit)
    return [
        PaceSample(**{**row, "figures": {name: tuple(three) for name, three in row["figures"].items()}}) for row in rows
    ]


_FORGET = """
delete from pace_samples where ctid = any (array(select ctid from pace_samples where began_at < $1 order by began_at limit $2))
"""


async def forget_before(conn: Connection, moment: datetime, at_most: int = 20_000) -> int:
    """Delete what is older, the oldest first; how many were deleted."""
    status = await conn.execute(_FORGET, moment, at_most)
    return int(status.rpartition(" ")[2])

"""The figures of trials in the database: counted from the calls of a sample, frozen when the trial is closed, never changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns.errors import Missing
from campaigns.life.figures import Counted, canonical, figures
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Figures that were frozen. `document` is the text that was hashed; `sha256` in hex."""

    id: UUID
    run: int
    frozen_at: datetime
    document: str
    sha256: str

    @property
    def holds(self) -> bool:
        """The text is still the one that was hashed."""
        return hashlib.sha256(self.document.encode()).hexdigest() == self.sha256

    @property
    def figures(self) -> dict[str, Any]:
        """The document, read."""
        found: dict[str, Any] = json.loads(self.document)
        return found


_TRIAL = "select trial_run, trial_size, trial_counts, trial_began_at, valid_connect_s from projects where id = $1"
_COUNT = """
with
meant as (
    select code, meaning from dispositions where project_id = $1 and meaning is not null
),
tried as (
    select a.lead_id, a.id, a.answered_at, a.bridged_at, a.ended_at, a.abandoned, a.disposition,
           exists (select from caller_number_complaints k where k.attempt_id = a.id) as complained
    from attempts a
    where a.project_id = $1 and a.id >= uuid7_floor($2) and a.created_at >= $2 and a.mode = 'trial' and a.lead_id is not null
      and a.outcome is distinct from 'not_sent'
),
of_lead as (
    select t.lead_id, count(*) as calls, bool_or(t.answered_at is not null) as reached, bool_or(t.bridged_at is not null) as connected,
           bool_or(t.ended_at - t.bridged_at >= make_interval(secs => $3::integer)) as valid, bool_or(t.abandoned) as abandoned,
           (array_agg(t.disposition order by t.id desc) filter (where t.disposition is not null))[1] as said,
           bool_or(t.complained or coalesce(t.disposition in (select code from meant where meaning = 'complaint'), false)) as complained
    from tried t group by t.lead_id
)
select count(*) as attempted, coalesce(sum(calls), 0)::bigint as calls, count(*) filter (where reached) as reached,
       count(*) filter (where connected) as connected, count(*) filter (where valid) as valid, count(*) filter (where abandoned) as abandoned,
       count(*) filter (where connected and said in (select code from meant where meaning = 'conversion')) as converted,
       count(*) filter (where reached and complained) as complained,
       (select count(*) from tried where bridged_at is not null and ended_at is not null) as conversations,
       (select avg(extract(epoch from ended_at - bridged_at)) from tried where bridged_at is not null)::float8 as talk_mean_s,
       (select stddev_samp(extract(epoch from ended_at - bridged_at)) from tried where bridged_at is not null)::float8 as talk_deviation_s
from of_lead
"""


async def figures_now(conn: Connection, project_id: UUID) -> dict[str, Any]:
    """The present sample's figures as its calls are now. Reads the attempts since it began: for people. Errors: Missing `project_unknown`."""
    project = await conn.fetchrow(_TRIAL, project_id)
    if project is None:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
    row = await conn.fetchrow(_COUNT, project_id, project["trial_began_at"], project["valid_connect_s"])
    assert row is not None  # noqa: S101 -- an aggregate always gives a row
    return {
        "project_id": str(project_id),
        "run": project["trial_run"],
        "began_at": project["trial_began_at"].isoformat(),
        "size": project["trial_size"],
        "counts": project["trial_counts"],
        "valid_connect_s": project["valid_connect_s"],
        **figures(Counted(**row)),
    }


_FREEZE = """
insert into trial_figures (project_id, run, document, sha256, frozen_at) values ($1, $2, $3, $4, $5)
returning id
"""


async def freeze(conn: Connection, project_id: UUID, now: datetime) -> Frozen:
    """Keep the figures of the present sample for good. Errors: Missing `project_unknown`; UniqueViolationError when this sample's are kept already."""
    found = await figures_now(conn, project_id)
    document = canonical({**found, "frozen_at": now.isoformat()})
    digest = hashlib.sha256(document.encode()).digest()
    kept = await conn.fetchval(_FREEZE, project_id, found["run"], document, digest, now)
    return Frozen(id=kept, run=found["run"], frozen_at=now, document=document, sha256=digest.hex())


_FROZEN = """
select id, run, frozen_at, document, encode(sha256, 'hex') as sha256 from trial_figures where project_id = $1 order by run
"""


async def frozen_of(conn: Connection, project_id: UUID) -> list[Frozen]:
    """All that were frozen of a project, oldest first."""
    return [Frozen(**row) for row in await conn.fetch(_FROZEN, project_id)]

"""The assisted trial (试呼): a sample of a project's leads, dialled progressively, and what came of it.

The claim takes the places of the sample (`campaigns.claim`), the end of a call gives back those that did not count (`campaigns.release`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from campaigns.errors import Missing
from campaigns.life.intervals import Share, wilson
from campaigns.sql import Connection
from campaigns.states import TrialCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The present sample. `taken` of `size` places; leads `attempted`, of them answered, of these bridged, of these by their last disposition."""

    size: int
    counts: TrialCounts
    taken: int
    began_at: datetime
    attempts: int
    attempted: int
    answered: Share
    bridged: Share
    abandoned: Share
    dispositions: Mapping[str, Share]

    @property
    def full(self) -> bool:
        """Nothing more is dialled for it."""
        return self.taken >= self.size


_TRIAL = "select trial_size, trial_counts, trial_taken, trial_began_at from projects where id = $1"
_CAME_OF_IT = """
with leads_of_it as (
    select a.lead_id, count(*) as attempts, bool_or(a.answered_at is not null) as answered, bool_or(a.bridged_at is not null) as bridged,
           bool_or(a.abandoned) as abandoned, (array_agg(a.disposition order by a.id desc) filter (where a.disposition is not null))[1] as disposition
    from attempts a
    where a.project_id = $1 and a.id >= uuid7_floor($2) and a.created_at >= $2 and a.mode = 'trial' and a.lead_id is not null
      and a.outcome is distinct from 'not_sent'
    group by a.lead_id
)
select coalesce(sum(attempts), 0)::bigint as attempts, count(*) as attempted, count(*) filter (where answered) as answered,
       count(*) filter (where bridged) as bridged, count(*) filter (where abandoned) as abandoned,
       (select coalesce(jsonb_object_agg(d.disposition, d.leads), '{}')
        from (select disposition, count(*) as leads from leads_of_it where disposition is not null group by disposition) d) as dispositions
from leads_of_it
"""


async def trial_of(conn: Connection, project_id: UUID) -> Trial:
    """The project's present sample. Reads the attempts since it began: for people. Errors: Missing `project_unknown`."""
    project = await conn.fetchrow(_TRIAL, project_id)
    if project is None:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))
    found = await conn.fetchrow(_CAME_OF_IT, project_id, project["trial_began_at"])
    assert found is not None  # noqa: S101 -- sums of nothing are a row
    return Trial(
        size=project["trial_size"],
        counts=TrialCounts(project["trial_counts"]),
        taken=project["trial_taken"],
        began_at=project["trial_began_at"],
        attempts=found["attempts"],
        attempted=found["attempted"],
        answered=wilson(found["answered"], found["attempted"]),
        bridged=wilson(found["bridged"], found["answered"]),
        abandoned=wilson(found["abandoned"], found["answered"]),
        dispositions={code: wilson(leads, found["bridged"]) for code, leads in sorted(found["dispositions"].items())},
    )


_BEGIN = """
update projects set trial_run = trial_run + 1, trial_taken = 0, trial_began_at = $2 where id = $1 returning id
"""


async def begin_trial(conn: Connection, project_id: UUID, now: datetime) -> None:
    """Begin a new sample, empty; calls that live belong to the one before. Errors: Missing `project_unknown`."""
    if await conn.fetchval(_BEGIN, project_id, now) is None:
        raise Missing("project_unknown", "There is no such project.", project_id=str(project_id))

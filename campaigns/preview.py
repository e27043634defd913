"""Preview: an agent looks at the next lead before it is dialled, and may pass it on within the project's rules.

Held by its own time, so whatever dies, the lead comes back by itself. A lead that was skipped, or that nobody decided about in time, rests for
`preview_skip_wait_s`, and does not come to the same agent for `preview_same_agent_wait_s`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from campaigns.claim_sql import BLOCKED, EXHAUSTED, FULL, PROJECT, PUT_ASIDE, PUT_OFF, RULES
from campaigns.errors import Refused
from campaigns.openings import Openings
from campaigns.sql import Connection
from campaigns.states import DialMode, PreviewPass
from campaigns.supply.parts import PARTS, STREAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewLead:
    """The lead that is shown, until `held_until`. `due_at`: since when it may be called (None: from the beginning).

    `skips_left`: how many leads its agent may still skip in this hour; 0 also when this lead was skipped as often as is allowed.
    """

    project_id: UUID
    agent_id: UUID
    lead_id: int
    number: str
    name: str
    fields: dict[str, Any]
    due_at: datetime | None
    held_until: datetime
    skips_left: int


_HOLD: Final = f"""
with recursive
project as (
    {PROJECT}
      and not exists (select from supplies s where s.project_id = $1 and s.opened <> s.wanted)
),
{RULES}
{STREAMS},
{PARTS},
front as materialized (
    select l.*, row_number() over () as place
    from (
        select l.id, l.number, l.attempts, l.dialled, l.region, nullif(l.next_at, '-infinity') as due_at
        from (select p.priority, p.zone, s.turn, s.earliest, s.latest from parts p cross join streams s where p.zone = any ($6::text[])) t
        cross join lateral (
            select l.id, l.number, l.attempts, l.dialled, l.region, l.next_at, l.rank
            from leads l
            where l.project_id = $1 and l.priority = t.priority and coalesce(l.zone, '') = t.zone and l.next_at between t.earliest and t.latest
              and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
              and not exists (select from preview_passes s join projects p on p.id = $1
                              where s.lead_id = l.id and s.agent_id = $4 and s.how <> 'left' and s.at > $2::timestamptz - make_interval(secs => p.preview_same_agent_wait_s))
            order by l.next_at, l.rank, l.id
            limit $3
            for no key update of l skip locked
        ) l
        where exists (select from project)
        order by t.priority desc, t.turn, l.next_at, l.rank, l.id
        limit $3
    ) l
),
judged as materialized (
    select f.id, f.place, f.due_at, {BLOCKED.format(exhausted=EXHAUSTED, full=FULL)}
    from front f cross join project p cross join caps
),
aside as (                      -- as in a claim: it does not stay at the front
    update leads l
    set state = {PUT_ASIDE},
        next_at = {PUT_OFF}
    from judged j cross join project p
    where l.id = j.id and j.blocked is not null
),
held as (
    update leads l set next_at = $5
    from (select j.id, j.due_at from judged j where j.blocked is null order by j.place limit 1) n join projects p on p.id = $1
    where l.id = n.id
    returning l.id, l.number, l.name, l.fields, n.due_at,
          case when (select count(*) from preview_passes s where s.lead_id = l.id and s.how = 'skipped') >= p.preview_skips_per_lead then 0
               else greatest(0, p.preview_skips_per_hour - (select count(*) from preview_passes s where s.agent_id = $4 and s.project_id = $1 and s.how = 'skipped'
                                                                                              and s.at > $2::timestamptz - interval '1 hour')) end as skips_left
)
select h.*, (select count(*) from front) as seen, array(select distinct zone from parts where zone <> all ($7::text[])) as unknown
from (values (true)) one left join held h on true
"""  # noqa: S608 -- constants

_SCANS: Final = (1, 64, 256, 500, 500)
"""How many leads of the front are looked at, one statement after the other, while none of them may be called."""


async def hold_for_preview(
    conn: Connection, *, project_id: UUID, agent_id: UUID, now: datetime, until: datetime, openings: Openings
) -> PreviewLead | None:
    """The next lead of a running project for this agent, kept from everybody else until `until`; None when there is none that may be called now.

    The gates of a claim are asked, the order is a claim's, and so is what happens to leads that may not be called: they leave the front. The cost is the same however long
    the list is. To dial the lead: `claim_number(..., lead_id=...)`, which asks all gates again.
    """
    scans = iter(_SCANS)
    scan: int | None = next(scans)
    while scan is not None:
        row = await conn.fetchrow(
            _HOLD, project_id, now, scan, agent_id, until, openings.open_zones(), list(openings.known), DialMode.PREVIEW.value
        )  # fmt: skip
        assert row is not None  # noqa: S101 -- it is one row
        if row["id"] is not None:
            return PreviewLead(
                project_id=project_id,
                agent_id=agent_id,
                lead_id=row["id"],
                number=row["number"],
                name=row["name"],
                fields=row["fields"],
                due_at=row["due_at"],
                held_until=until,
                skips_left=row["skips_left"],
            )
        if None in [openings.ask(zone) for zone in row["unknown"]]:  # ask about all of them
            continue
        scan = next(scans, None) if row["seen"] == scan else None
    return None


_GIVE_BACK = "update leads set next_at = coalesce($3::timestamptz, '-infinity') where id = $1 and next_at = $2 and state in ('new', 'retry')"


async def give_back(conn: Connection, lead: PreviewLead) -> None:
    """Put a lead that was held and never shown back to its place. Does nothing when it has moved on since."""
    await conn.execute(_GIVE_BACK, lead.lead_id, lead.held_until, lead.due_at)


_LET_GO = """
with judged as materialized (
    select p.id, p.preview_skip_wait_s as wait_s,
           case when $5 <> 'skipped' then null
                when (select count(*) from preview_passes s where s.lead_id = $2 and s.how = 'skipped') >= p.preview_skips_per_lead then 'lead_not_skippable'
                when (select count(*) from preview_passes s where s.agent_id = $3 and s.project_id = $1 and s.how = 'skipped'
                                                              and s.at > $4::timestamptz - interval '1 hour') >= p.preview_skips_per_hour then 'skips_used_up'
           end as refused
    from projects p where p.id = $1
),
passed as (
    insert into preview_passes (project_id, lead_id, agent_id, how, reason, at)
    select j.id, $2, $3, $5, $6, $4 from judged j where j.refused is null
),
moved as (
    update leads l
    set next_at = case when $5 = 'left' then coalesce($8::timestamptz, '-infinity') else $4::timestamptz + make_interval(secs => j.wait_s) end
    from judged j
    where l.id = $2 and l.next_at = $7 and l.state in ('new', 'retry') and j.refused is null
)
select refused from judged
"""

_WHY: Final = {
    "lead_not_skippable": "This lead was skipped as often as the project allows: dial it.",
    "skips_used_up": "You have skipped as many leads in this hour as the project allows: dial this one.",
}


async def pass_on(conn: Connection, lead: PreviewLead, how: PreviewPass, *, now: datetime, reason: str = "") -> None:
    """The lead that was shown is not dialled: written down, and back in the list by the project's rules. A skip, and only a skip, has a reason.

    Errors: Refused `lead_not_skippable`, `skips_used_up` (nothing was changed, the lead is still held).
    """
    refused = await conn.fetchval(
        _LET_GO, lead.project_id, lead.lead_id, lead.agent_id, now, how.value, reason, lead.held_until, lead.due_at
    )
    if refused is not None:
        raise Refused(refused, _WHY[refused])


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """What an agent made of the leads shown to them. `reasons`: of the skips, with how often each was given."""

    agent_id: UUID
    dialled: int
    skipped: int
    lapsed: int
    left: int
    reasons: Mapping[str, int]


_PREVIEWED = """
with passes as (
    select agent_id, how, reason, count(*) as times from preview_passes
    where project_id = $1 and ($2::timestamptz is null or at >= $2) and ($3::timestamptz is null or at < $3) group by agent_id, how, reason
),
dialled as (
    select agent_id, count(*) as times from attempts
    where project_id = $1 and ($2::timestamptz is null or id >= uuid7_floor($2)) and ($3::timestamptz is null or id < uuid7_floor($3))
      and mode = 'preview' and agent_id is not null group by agent_id
)
select a.agent_id,
       coalesce((select d.times from dialled d where d.agent_id = a.agent_id), 0) as dialled,
       coalesce(sum(p.times) filter (where p.how = 'skipped'), 0)::bigint as skipped,
       coalesce(sum(p.times) filter (where p.how = 'lapsed'), 0)::bigint as lapsed,
       coalesce(sum(p.times) filter (where p.how = 'left'), 0)::bigint as "left",
       coalesce(jsonb_object_agg(p.reason, p.times order by p.times desc) filter (where p.how = 'skipped'), '{}') as reasons
from (select agent_id from passes union select agent_id from dialled) a left join passes p using (agent_id)
group by a.agent_id
order by a.agent_id
"""


async def previewed(
    conn: Connection, project_id: UUID, since: datetime | None, until: datetime | None
) -> list[Previewed]:
    """What became of the leads shown in a period (None: without that bound), agent by agent. Reads the period's rows: for people."""
    return [Previewed(**row) for row in await conn.fetch(_PREVIEWED, project_id, since, until)]

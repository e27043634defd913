"""Taking leads to dial. One statement decides and writes, so that whatever is killed, a number has at most one live attempt and stays under its cap.

What the statement does, in this order: the first leads of the list are locked (SKIP LOCKED: claimers never wait for each other's rows); each is put aside or taken;
`live_attempts` has the number as its key, so a number that is alive anywhere is refused by the database; the number's row of `callees` takes the call only
below every cap, else the statement fails as a whole; in a trial so do the places of its sample; then the attempt is there, committed, before anybody may dial.

A lead that may not be dialled now does not stay at the front of the list: on a do-not-call list it leaves for good, over its daily cap it comes
back when tomorrow's window opens, over another cap when that has room, while its number is alive elsewhere after a minute. Leads of a zone whose window is shut are
not looked at. So a claim costs the same however long the list is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.do_not_call_sql import listed
from campaigns.errors import BadInput, Missing, NotEvaluable, Refused
from campaigns.openings import Openings
from campaigns.sql import Connection
from campaigns.states import DialMode

MAX_CLAIM: Final = 500
_ROUNDS: Final = 6
_PUT_ASIDE_SCAN: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """Up to `len(attempt_ids)` leads of a project for one node and trunk.

    `attempt_ids` are UUIDs version 7 of `now`; `caller_numbers`, as many, is what each call would show. An attempt keeps the id and number of one position.
    `holder` is the engine run that claims: when it does not hold the node at that moment, by the database's clock, it gets nothing. None: not asked.
    """

    project_id: UUID
    node: str
    trunk_id: UUID
    mode: DialMode
    now: datetime
    attempt_ids: tuple[UUID, ...]
    caller_numbers: tuple[str, ...]
    agent_id: UUID | None = None
    device_id: UUID | None = None
    holder: UUID | None = None
    openings: Openings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedLead:
    """A committed attempt: it may be dialled now, by the one who claimed it. `lead_id` is None for a number that is no lead."""

    attempt_id: UUID
    lead_id: int | None
    number: str
    name: str
    fields: dict[str, Any]
    caller_number: str
    trunk_id: UUID
    created_at: datetime
    import_id: UUID | None = None  # the list it came with; a lead that an agent asked for by its number does not say


# Constants of this file are put together here; values are always arguments.
_RULES = """
caps as materialized (          -- of the rules in force; the claim counts by them itself, whatever an engine believes
    select coalesce(array_agg(r.most) filter (where r.kind = 'frequency'), '{}') as most,
           coalesce(array_agg(r.period_s) filter (where r.kind = 'frequency'), '{}') as period_s,
           coalesce(array_agg(r.counts) filter (where r.kind = 'frequency'), '{}') as counts,
           coalesce(array_agg(r.reach) filter (where r.kind = 'frequency'), '{}') as reach,
           coalesce(min(r.most) filter (where r.kind = 'attempts'), 1000000) as attempts,
           coalesce(array_agg(r.scope) filter (where r.kind = 'consent'), '{}') as scopes,
           coalesce(array_agg(r.rule) filter (where r.kind = 'blind_region'), '{}') as blind
    from project p join project_rules r on r.project_id = p.id and p.day >= r.from_day and p.day < r.until_day
                                        and (r.modes = '{}' or $8::text = any (r.modes))
),
"""

_BLOCKED = f"""
           case when {listed(number="f.number", client="p.client", project="p.id", region="f.region", at="$2::timestamptz")} then 'do_not_call'
                when f.region is null and exists (select from do_not_call_areas d where d.kind = 'region' and (d.client is null or d.client = p.client)
                     and (d.project_id is null or d.project_id = p.id) and coalesce(d.expires_at, 'infinity') > $2) then 'region_unknown'
                when cardinality(caps.blind) > 0 and exists (
                     select from project_rules r where r.project_id = p.id and r.rule = any (caps.blind)
                        and (r.prefixes && prefixes_of(f.number) or (cardinality(r.regions) > 0 and coalesce(f.region = any (r.regions), true)))) then 'blind_region'
                when exists (select from unnest(caps.scopes) s (scope) where not exists (
                     select from consents c where c.number = f.number and c.scope = s.scope and c.client in ('', p.client) and c.granted_at <= $2
                        and coalesce(c.expires_at, 'infinity') > $2 and coalesce(c.withdrawn_at, 'infinity') > $2)) then 'no_consent'
                when {{exhausted}} then 'exhausted'
                when exists (select from live_attempts v where v.number = f.number) then 'number_live'
                when exists (select from callees c where c.number = f.number and calls_on_day(c.called, p.day, p.zone) >= p.cap) then 'daily_cap'
                when exists (select from callees c where c.number = f.number and {{full}} is not null) then 'frequency_cap'
           end as blocked
"""  # noqa: S608 -- constants
_FULL = """capped_until(c.called, c.projects, c.clients, c.answered, c.abandoned, $2, p.id, p.client, caps.most, caps.period_s, caps.counts, caps.reach)"""
_KEPT = "(select count(*)::integer + 1 from unnest(c.called) t where t <= $2::timestamptz - interval '32 days')"
_COUNTED = f"""
counted as (                    -- null over a cap, judged by the row as it is now and not as this statement first saw it: the column refuses it, and with it the whole statement
    insert into callees as c (number, called, projects, clients, answered, abandoned)
    select a.number, array[$2::timestamptz], array[p.id], array[p.client], array[null::timestamptz], array[null::timestamptz]
    from (select number from alive order by number) a cross join project p
    on conflict (number) do update
    set called = (select case when calls_on_day(c.called, p.day, p.zone) < p.cap and {_FULL} is null then c.called[{_KEPT}:] || $2::timestamptz end
                  from project p, caps),
        projects = c.projects[{_KEPT}:] || (select id from project),
        clients = c.clients[{_KEPT}:] || (select client from project),
        answered = c.answered[{_KEPT}:] || null::timestamptz,
        abandoned = c.abandoned[{_KEPT}:] || null::timestamptz
    returning number
),
"""  # noqa: S608 -- constants
_PROJECT = """
    select p.id, p.client, p.zone, p.daily_cap_per_number as cap, p.max_attempts, p.trial_run,
           p.trial_size - p.trial_taken as room, ($2::timestamptz at time zone p.zone)::date as day,
           ((($2::timestamptz at time zone p.zone)::date + 1) + p.window_start) at time zone p.zone as tomorrow
    from projects p
    where p.id = $1 and p.state = 'running'
"""

_CLAIM = f"""
with recursive
project as (
    {_PROJECT}
      and ($11::uuid is null or exists (select from nodes n where n.name = $4 and n.holder = $11 and n.lease_until > clock_timestamp()))
      and not exists (select from supplies s where s.project_id = $1 and s.opened <> s.wanted)     -- who is left out by a new filter is not yet out of the way
),
{_RULES}
streams (turn, earliest, latest) as (      -- who was never called has no time; who comes again goes by it, and before or after them
    select 1, '-infinity'::timestamptz, $2::timestamptz where not exists (select from supplies s where s.project_id = $1 and s.retry_first)
    union all
    select s.turn, s.earliest, s.latest from (values (1, '4713-01-01 00:00:00+00 BC'::timestamptz, $2::timestamptz), (2, '-infinity', '-infinity')) s (turn, earliest, latest)
    where exists (select from supplies s where s.project_id = $1 and s.retry_first)
),
parts (priority, zone) as (     -- the priorities and zones that occur, in the order of the index, one index step each
    (select l.priority, coalesce(l.zone, '') from leads l
     where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
     order by l.priority desc, coalesce(l.zone, '') limit 1)
    union all
    select n.priority, n.zone from parts t cross join lateral (
        select * from (
            (select l.priority, coalesce(l.zone, '') as zone from leads l
             where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held and l.priority = t.priority and coalesce(l.zone, '') > t.zone
             order by coalesce(l.zone, '') limit 1)
            union all
            (select l.priority, coalesce(l.zone, '') as zone from leads l
             where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held and l.priority < t.priority
             order by l.priority desc, coalesce(l.zone, '') limit 1)
        ) either order by priority desc, zone limit 1
    ) n
),
front as materialized (
    select l.*, row_number() over () as place
    from (
        select l.id, l.number, l.attempts, l.region
        from (select p.priority, p.zone, s.turn, s.earliest, s.latest from parts p cross join streams s where p.zone = any ($12::text[])) t
        cross join lateral (
            select l.id, l.number, l.attempts, l.region, l.next_at, l.rank
            from leads l
            where l.project_id = $1 and l.priority = t.priority and coalesce(l.zone, '') = t.zone and l.next_at between t.earliest and t.latest
              and l.state in ('new', 'retry') and l.callback_agent_id is null and not l.held
            order by l.next_at, l.rank, l.id
            limit $3
            for no key update skip locked
        ) l
        where exists (select from project)
        order by t.priority desc, t.turn, l.next_at, l.rank, l.id
        limit $3
    ) l
),
judged as materialized (
    select f.id, f.number, f.place, {_BLOCKED.format(exhausted="f.attempts >= least(p.max_attempts, caps.attempts)", full=_FULL)},
           $8 = 'trial' and not exists (select from trial_leads t where t.project_id = $1 and t.run = p.trial_run and t.lead_id = f.id) as new_in_sample
    from front f cross join project p cross join caps
),
slots as (
    select i.id as attempt_id, i.caller_number, i.slot,
           exists (select from project_caller_numbers a join caller_numbers n on n.id = a.caller_number_id
                   where a.project_id = $1 and n.number = i.caller_number and n.trunk_id = $5 and n.state = 'active') as listed
    from unnest($6::uuid[], $7::text[]) with ordinality i (id, caller_number, slot)
),
chosen as materialized (
    select j.id, j.number, j.new_in_sample, s.attempt_id, case when s.listed then s.caller_number end as caller_number
    from (select q.id, q.number, q.new_in_sample, row_number() over (order by q.place) as slot
          from (select *, count(*) filter (where new_in_sample) over (order by place) as wanted_room from judged where blocked is null) q
          cross join project p
          where $8 <> 'trial' or (p.room > 0 and q.wanted_room <= p.room)) j
    join slots s using (slot)
),
alive as (                      -- in the order of the numbers: two claimers can wait for each other but not in a circle
    insert into live_attempts (number, attempt_id, lead_id, project_id, node, created_at)
    select number, attempt_id, id, $1, $4, $2 from chosen order by number
    on conflict (number) do nothing
    returning number, attempt_id
),
{_COUNTED}
written as (                    -- null when the caller number is not on the project's list: the column refuses that too
    insert into attempts (id, lead_id, project_id, number, node, trunk_id, caller_number, mode, agent_id, device_id, state, created_at)
    select c.attempt_id, c.id, $1, c.number, $4, $5, c.caller_number, $8, $9, $10, 'committed', $2
    from chosen c join alive using (attempt_id) join counted on counted.number = c.number
    returning id, lead_id
),
sampled as (
    insert into trial_leads (project_id, run, lead_id)
    select $1, p.trial_run, w.lead_id from written w join chosen c on c.attempt_id = w.id cross join project p where c.new_in_sample
    returning lead_id
),
room as (                       -- null when another engine took the places meanwhile: the column refuses it, and with it the whole statement
    update projects p
    set trial_taken = case when p.trial_taken + s.leads <= p.trial_size then p.trial_taken + s.leads end
    from (select count(*)::integer as leads from sampled) s
    where p.id = $1 and s.leads > 0
),
moved as (
    update leads l
    set state = case when w.id is not null then 'in_flight'
                     when j.blocked in ('do_not_call', 'exhausted') then j.blocked
                     else l.state end,
        attempts = l.attempts + case when w.id is not null then 1 else 0 end,
        last_attempt_at = case when w.id is not null then $2 else l.last_attempt_at end,
        next_at = case when w.id is not null or j.blocked in ('do_not_call', 'exhausted') then l.next_at
                       when j.blocked = 'daily_cap' then p.tomorrow
                       when j.blocked = 'frequency_cap' then (select {_FULL} from callees c, caps where c.number = l.number)
                       when j.blocked in ('no_consent', 'blind_region', 'region_unknown') then $2::timestamptz + interval '1 hour'
                       else $2::timestamptz + interval '1 minute' end
    from judged j left join chosen c on c.id = j.id left join written w on w.lead_id = j.id cross join project p
    where l.id = j.id and (j.blocked is not null or c.id is not null)
    returning l.id, l.number, l.name, l.fields, l.import_id, w.id as attempt_id
)
select m.attempt_id, m.id as lead_id, m.number, m.name, m.fields, m.import_id, c.caller_number,
       (select count(*) from front) as seen, null::text as zone
from moved m left join chosen c on c.attempt_id = m.attempt_id
union all
select null, null, null, null, null, null, null, null, zone from (select distinct zone from parts where zone <> all ($13::text[])) unknown
"""  # noqa: S608 -- constants


async def claim(conn: Connection, request: ClaimRequest) -> list[ClaimedLead]:
    """Take the next leads of a running project; fewer than asked for, or none, when there are no more that may be dialled now.

    Each round is one statement and one transaction; a second round comes only when leads were put aside. Inside a transaction of the caller it must be
    the only thing, and a refusal undoes it.
    Leads whose zone is not open stay where they are and cost nothing. When the answer is lost with the connection, nothing is known: the attempts, if any, are found by their ids.
    Errors: Refused `caller_number_refused` (an id's number is not an active one of this project on this trunk: nothing was claimed); BadInput `claim_malformed`;
    NotEvaluable `project_zone_unknown`.
    """
    _check(request)
    claimed: list[ClaimedLead] = []
    slots = dict(zip(request.attempt_ids, request.caller_numbers, strict=True))
    scan = len(slots)
    for _ in range(_ROUNDS):
        rows = await _run(
            conn,
            _CLAIM,
            request.project_id,
            request.now,
            scan,
            request.node,
            request.trunk_id,
            tuple(slots),
            tuple(slots.values()),
            request.mode.value,
            request.agent_id,
            request.device_id,
            request.holder,
            request.openings.open_zones(),
            list(request.openings.known),
        )
        unknown = [row["zone"] for row in rows if row["zone"] is not None]
        rows = [row for row in rows if row["zone"] is None]
        again = None in [request.openings.ask(zone) for zone in unknown]  # ask about all of them
        taken = [row for row in rows if row["attempt_id"] is not None]
        claimed += [_claimed(row, request) for row in taken]
        for row in taken:
            del slots[row["attempt_id"]]
        if not slots or (not again and (len(rows) == len(taken) or rows[0]["seen"] < scan)):
            break
        scan = len(slots) if again else max(len(slots), _PUT_ASIDE_SCAN)
    return claimed


def _claimed(row: Any, request: ClaimRequest) -> ClaimedLead:
    return ClaimedLead(
        attempt_id=row["attempt_id"],
        lead_id=row["lead_id"],
        number=row["number"],
        name=row["name"],
        fields=row["fields"],
        caller_number=row["caller_number"],
        trunk_id=request.trunk_id,
        created_at=request.now,
        import_id=row["import_id"],
    )


def _check(request: ClaimRequest) -> None:
    ids = request.attempt_ids
    if not 1 <= len(ids) <= MAX_CLAIM or len(request.caller_numbers) != len(ids) or len(set(ids)) != len(ids):
        raise BadInput(
            "claim_malformed", f"A claim takes 1 to {MAX_CLAIM} different attempt ids and a caller number for each."
        )


async def _run(conn: Connection, statement: str, *arguments: object) -> list[Any]:
    """Run a claiming statement again when it lost a race that a fresh look decides; it has changed nothing then."""
    for last in (False, False, True):
        try:
            return await conn.fetch(statement, *arguments)
        except asyncpg.NotNullViolationError as error:
            if error.table_name not in {"callees", "projects"}:
                raise Refused(
                    "caller_number_refused",
                    "This caller number is not an active number of the project on this trunk; nothing was dialled.",
                ) from error
            if last:
                raise NotEvaluable(
                    "claim_contended",
                    "Others take the same numbers, or the same places of a trial, at the same moment; try again.",
                ) from error
        except asyncpg.DeadlockDetectedError as error:
            if last:
                raise NotEvaluable(
                    "claim_contended", "Others change the same leads at the same moment; try again."
                ) from error
        except asyncpg.InvalidParameterValueError as error:
            raise NotEvaluable(
                "project_zone_unknown", "The project's time zone is not known to the database; set another one."
            ) from error
    raise AssertionError("unreachable")


_CLAIM_NUMBER = f"""
with
project as (
    {_PROJECT}
),
{_RULES}
lead as materialized (
    select l.id, l.number, l.name, l.fields, l.region, l.attempts, coalesce(l.zone, '') as zone
    from leads l
    where l.project_id = $1 and (l.id = $3 or l.number = $11)
    for no key update
),
target as materialized (
    select l.id, l.number, l.name, l.fields, l.region, l.attempts, l.zone from lead l
    union all
    select null, $11, '', '{{}}'::jsonb, null, 0, '' where $11::text is not null and not exists (select from lead)
),
judged as materialized (
    select f.id, f.number, f.name, f.fields, f.zone,
           case when $12::uuid is not null
                     and not exists (select from nodes n where n.name = $4 and n.holder = $12 and n.lease_until > clock_timestamp()) then 'node_lost'
                when p.id is null then 'project_not_running'
                when f.zone <> all ($13::text[]) then 'zone_unjudged'
                when f.zone = any ($14::text[]) then 'outside_window'
                else gate.blocked end as blocked,
           exists (select from project_caller_numbers a join caller_numbers n on n.id = a.caller_number_id
                   where a.project_id = $1 and n.number = $7 and n.trunk_id = $5 and n.state = 'active') as listed
    from target f left join project p on true cross join caps
    left join lateral (select {_BLOCKED.format(exhausted="f.attempts >= caps.attempts", full=_FULL)}) gate on true
),
alive as (
    insert into live_attempts (number, attempt_id, lead_id, project_id, node, created_at)
    select number, $6, id, $1, $4, $2 from judged where blocked is null
    on conflict (number) do nothing
    returning number
),
{_COUNTED}
written as (
    insert into attempts (id, lead_id, project_id, number, node, trunk_id, caller_number, mode, agent_id, device_id, state, created_at)
    select $6, j.id, $1, j.number, $4, $5, case when j.listed then $7 end, $8, $9, $10, 'committed', $2
    from judged j join counted using (number)
    returning lead_id
),
moved as (
    update leads l set state = 'in_flight', attempts = l.attempts + 1, last_attempt_at = $2
    from written w where l.id = w.lead_id
)
select j.id as lead_id, j.number, j.name, j.fields, j.zone,
       coalesce(j.blocked, case when not exists (select from written) then 'number_live' end) as blocked
from judged j
"""  # noqa: S608 -- constants

_WHY: Final = {
    "node_lost": "This engine does not own its node at this moment; nothing was dialled.",
    "project_not_running": "The project is not running; start it first.",
    "outside_window": "It is not the hour to call this number; see why for when it is.",
    "blind_region": "Numbers of this region are not called in this project.",
    "region_unknown": "Some regions are not called, and the region of this number is not known.",
    "no_consent": "There is no consent to this call that holds now.",
    "exhausted": "This lead was called as often as the rules allow.",
    "frequency_cap": "This number was called as often lately as the rules allow; see why for when it may be called again.",
    "do_not_call": "This number is on the do-not-call list and is not dialled.",
    "number_live": "This number is being called at this moment; wait until that call has ended.",
    "daily_cap": "This number was called as often today as is allowed; try again tomorrow.",
}


async def claim_number(
    conn: Connection, request: ClaimRequest, *, lead_id: int | None = None, number: str | None = None
) -> ClaimedLead:
    """Take one named lead of the project, or a number (E.164) that may or may not be a lead of it: manual dialling, preview, callbacks.

    The lead's own state, retry time and the project's number of attempts do not hold a person back; the rules, the caps, the do-not-call lists and a live
    call do.
    Errors: Refused `node_lost`, `project_not_running`, `outside_window`, `do_not_call`, `region_unknown`, `blind_region`, `no_consent`, `exhausted`, `number_live`, `daily_cap`,
    `frequency_cap`, `caller_number_refused`; Missing `lead_unknown`; BadInput `claim_malformed`.
    """
    if len(request.attempt_ids) != 1 or len(request.caller_numbers) != 1 or (lead_id is None) == (number is None):
        raise BadInput("claim_malformed", "Name one lead or one number, with one attempt id and one caller number.")
    row = await _claim_named(conn, request, lead_id, number)
    if row["blocked"] == "zone_unjudged":
        request.openings.ask(row["zone"])
        row = await _claim_named(conn, request, lead_id, number)
    if row["blocked"]:
        raise Refused(row["blocked"], _WHY[row["blocked"]])
    return ClaimedLead(
        attempt_id=request.attempt_ids[0],
        lead_id=row["lead_id"],
        number=row["number"],
        name=row["name"],
        fields=row["fields"],
        caller_number=request.caller_numbers[0],
        trunk_id=request.trunk_id,
        created_at=request.now,
    )


async def _claim_named(conn: Connection, request: ClaimRequest, lead_id: int | None, number: str | None) -> Any:
    openings = request.openings
    rows = await _run(
        conn,
        _CLAIM_NUMBER,
        request.project_id,
        request.now,
        lead_id,
        request.node,
        request.trunk_id,
        request.attempt_ids[0],
        request.caller_numbers[0],
        request.mode.value,
        request.agent_id,
        request.device_id,
        number,
        request.holder,
        list(openings.known),
        [zone for zone, opens in openings.known.items() if opens is not None],
    )
    if not rows:
        raise Missing("lead_unknown", "The project has no such lead.", lead_id=lead_id)
    return rows[0]

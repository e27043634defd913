"""The statements that take leads: one for the next of a list, one for a named lead or number. `campaigns.claim` runs them and says what they do.

Arguments of both: $1 project, $2 the moment, $4 node, $5 trunk, $8 mode, $9 agent, $10 device.
"""

from __future__ import annotations

from typing import Final

from campaigns.caller_numbers.choice_sql import OFFERS, PREFERENCE, SHOWN
from campaigns.do_not_call_sql import listed, listed_until
from campaigns.locality.locating import PLACE_NOW, REGION
from campaigns.supply.parts import PARTS, STREAMS

# Constants of this file are put together here; values are always arguments.
RULES: Final = """
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

BLOCKED: Final = f"""
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
EXHAUSTED: Final = "f.attempts >= p.max_attempts or f.dialled >= caps.attempts"
FULL: Final = """capped_until(c.called, c.projects, c.clients, c.answered, c.abandoned, $2, p.id, p.client, caps.most, caps.period_s, caps.counts, caps.reach)"""
_UNTIL = listed_until(number="l.number", client="p.client", project="p.id", region="l.region", at="$2::timestamptz")
LEAVES: Final = f"(j.blocked = 'exhausted' or j.blocked = 'do_not_call' and {_UNTIL} = 'infinity')"
"""Whether a lead that is not dialled leaves its list for good."""

PUT_ASIDE: Final = f"case when {LEAVES} then j.blocked else l.state end"
"""The state of a lead `l` that was judged (`j`), and below, when it is looked at again."""

PUT_OFF: Final = f"""
                  case j.blocked when 'daily_cap' then p.tomorrow
                                 when 'frequency_cap' then (select {FULL} from callees c, caps where c.number = l.number)
                                 when 'do_not_call' then least({_UNTIL}, $2::timestamptz + interval '1 day')     -- it may be lifted before its end
                                 when 'no_consent' then $2::timestamptz + interval '1 hour'
                                 when 'blind_region' then $2::timestamptz + interval '1 hour'
                                 when 'region_unknown' then $2::timestamptz + interval '1 hour'
                                 else $2::timestamptz + interval '1 minute' end
"""  # noqa: S608 -- constants
OUT_OF_SAMPLE: Final = """
                $8::text = 'trial' and not exists (select from trial_leads t where t.project_id = $1 and t.run = p.trial_run and t.lead_id = f.id)
"""
_KEPT = "(select count(*)::integer + 1 from unnest(c.called) t where t <= $2::timestamptz - interval '32 days')"
_COUNTED = f"""
counted as (                    -- null over a cap, judged by the row as it is now and not as this statement first saw it: the column refuses it, and with it the whole statement
    insert into callees as c (number, called, projects, clients, answered, abandoned)
    select a.number, array[$2::timestamptz], array[p.id], array[p.client], array[null::timestamptz], array[null::timestamptz]
    from (select number from alive order by number) a cross join project p
    on conflict (number) do update
    set called = (select case when calls_on_day(c.called, p.day, p.zone) < p.cap and {FULL} is null then c.called[{_KEPT}:] || $2::timestamptz end
                  from project p, caps),
        projects = c.projects[{_KEPT}:] || (select id from project),
        clients = c.clients[{_KEPT}:] || (select client from project),
        answered = c.answered[{_KEPT}:] || null::timestamptz,
        abandoned = c.abandoned[{_KEPT}:] || null::timestamptz
    returning number
),
"""  # noqa: S608 -- constants
PROJECT: Final = """
    select p.id, p.client, p.zone, p.purpose, p.daily_cap_per_number as cap, p.max_attempts, p.trial_run,
           p.trial_size - p.trial_taken as room, ($2::timestamptz at time zone p.zone)::date as day,
           ((($2::timestamptz at time zone p.zone)::date + 1) + p.window_start) at time zone p.zone as tomorrow
    from projects p
    where p.id = $1 and p.state = 'running'
      and (not p.sign_offs or p.stage = 'formal' or $8::text = 'trial')     -- a trial that was signed for dials its sample and nothing else, whatever an engine believes
"""

CLAIM: Final = f"""
with recursive
project as (
    {PROJECT}
      and ($11::uuid is null or exists (select from nodes n where n.name = $4 and n.holder = $11 and n.lease_until > clock_timestamp()))
      and not exists (select from supplies s where s.project_id = $1 and s.opened <> s.wanted)     -- who is left out by a new filter is not yet out of the way
),
{RULES}
{STREAMS},
{PARTS},
front as materialized (
    select l.*, row_number() over () as place
    from (
        select l.id, l.number, l.attempts, l.dialled, l.region, l.place_id, l.last_caller_number
        from (select p.priority, p.zone, s.turn, s.earliest, s.latest from parts p cross join streams s where p.zone = any ($12::text[])) t
        cross join lateral (
            select l.id, l.number, l.attempts, l.dialled, l.region, l.place_id, l.last_caller_number, l.next_at, l.rank
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
    select f.id, f.number, f.place, f.place_id, f.last_caller_number, {BLOCKED.format(exhausted=EXHAUSTED, full=FULL)},
           {OUT_OF_SAMPLE} as new_in_sample
    from front f cross join project p cross join caps
),
{OFFERS.format(numbers="$7", rooms="$14", uses="$15")}
wanted as materialized (
    select q.id, q.number, q.new_in_sample, q.last_caller_number, h.province, h.city, row_number() over (order by q.place) as slot
    from (select *, count(*) filter (where new_in_sample) over (order by place) as wanted_room from judged where blocked is null) q
    cross join project p left join places h on h.id = q.place_id
    where $8 <> 'trial' or (p.room > 0 and q.wanted_room <= p.room)
),
given (slot, caller_number, taken) as (    -- one lead after the other, until nothing is left to show; taken: calls of each offer
    select 0::bigint, null::text, array_fill(0, array[greatest((select count(*) from offers), 1)::integer])
    union all
    select w.slot, o.number, g.taken[:o.seat - 1] || (g.taken[o.seat] + 1) || g.taken[o.seat + 1:]
    from given g join wanted w on w.slot = g.slot + 1
    cross join lateral (
        select o.seat, o.number from offers o where o.room > g.taken[o.seat]
        order by {PREFERENCE.format(lead="w", taken="g.taken[o.seat]")} limit 1
    ) o
    where w.slot <= cardinality($6::uuid[])
),
chosen as materialized (
    select w.id, w.number, w.new_in_sample, ($6::uuid[])[w.slot] as attempt_id, g.caller_number from wanted w join given g using (slot)
),
alive as (                      -- in the order of the numbers: two claimers can wait for each other but not in a circle
    insert into live_attempts (number, attempt_id, lead_id, project_id, node, created_at)
    select number, attempt_id, id, $1, $4, $2 from chosen order by number
    on conflict (number) do nothing
    returning number, attempt_id
),
{_COUNTED}
written as (
    insert into attempts (id, lead_id, project_id, number, node, trunk_id, caller_number, mode, agent_id, device_id, state, created_at)
    select c.attempt_id, c.id, $1, c.number, $4, $5, c.caller_number, $8, $9, $10, 'committed', $2
    from chosen c join alive using (attempt_id) join counted on counted.number = c.number
    returning id, lead_id, caller_number
),
{SHOWN.format(written="written")},
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
    set state = case when w.id is not null then 'in_flight' else {PUT_ASIDE} end,
        attempts = l.attempts + case when w.id is not null then 1 else 0 end,
        dialled = l.dialled + case when w.id is not null then 1 else 0 end,
        last_attempt_at = case when w.id is not null then $2 else l.last_attempt_at end,
        last_caller_number = coalesce(w.caller_number, l.last_caller_number),
        next_at = case when w.id is not null or {LEAVES} then l.next_at else {PUT_OFF} end
    from judged j left join chosen c on c.id = j.id left join written w on w.lead_id = j.id cross join project p
    where l.id = j.id and (j.blocked is not null or c.id is not null)
    returning l.id, l.number, l.name, l.fields, l.import_id, w.id as attempt_id
)
select m.attempt_id, m.id as lead_id, m.number, m.name, m.fields, m.import_id, c.caller_number,
       (select count(*) from front) as seen, null::text as zone, false as nothing_to_show
from moved m left join chosen c on c.attempt_id = m.attempt_id
union all
select null, null, null, null, null, null, null, null, zone, false from (select distinct zone from parts where zone <> all ($13::text[])) unknown
union all
select null, null, null, null, null, null, null, null, null, true where not exists (select from offers) and exists (select from wanted)
"""  # noqa: S608 -- constants


CLAIM_NUMBER: Final = f"""
with
project as (
    {PROJECT}
),
{RULES}
lead as materialized (
    select l.id, l.number, l.name, l.fields, l.region, l.dialled, coalesce(l.zone, '') as zone, l.place_id, l.last_caller_number
    from leads l
    where l.project_id = $1 and (l.id = $3 or l.number = $11)
    for no key update
),
target as materialized (
    select l.*, h.province, h.city from lead l left join places h on h.id = l.place_id
    union all
    select null, $11, '', '{{}}'::jsonb, {REGION}, coalesce((select d.calls from dialled_numbers d where d.number = $11 and d.project_id = $1), 0),
           coalesce(place.zone, ''), null, null, place.province, place.city
    from (select $11::text as number) n {PLACE_NOW.format(number="n.number")} where $11::text is not null and not exists (select from lead)
),
{OFFERS.format(numbers="$7", rooms="$15", uses="$16")}
judged as materialized (
    select f.id, f.number, f.name, f.fields, f.zone, best.number as caller_number,
           case when $12::uuid is not null
                     and not exists (select from nodes n where n.name = $4 and n.holder = $12 and n.lease_until > clock_timestamp()) then 'node_lost'
                when p.id is null then 'project_not_running'
                when {OUT_OF_SAMPLE} then 'not_in_sample'
                when f.zone <> all ($13::text[]) then 'zone_unjudged'
                when f.zone = any ($14::text[]) then 'outside_window'
                else coalesce(gate.blocked, case when best.number is null then 'caller_number_refused' end) end as blocked
    from target f left join project p on true cross join caps
    left join lateral (select {BLOCKED.format(exhausted="f.dialled >= caps.attempts", full=FULL)}) gate on true
    left join lateral (select o.number from offers o order by {PREFERENCE.format(lead="f", taken="0")} limit 1) best on true
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
    select $6, j.id, $1, j.number, $4, $5, j.caller_number, $8, $9, $10, 'committed', $2
    from judged j join counted using (number)
    returning lead_id, caller_number
),
{SHOWN.format(written="written")},
moved as (
    update leads l set state = 'in_flight', attempts = l.attempts + 1, dialled = l.dialled + 1, last_attempt_at = $2, last_caller_number = w.caller_number
    from written w where l.id = w.lead_id
),
by_hand as (                    -- null when others have called it meanwhile as often as the rules allow: the column refuses it, and with it the whole statement
    insert into dialled_numbers as d (number, project_id, calls)
    select j.number, $1, 1 from judged j join written w on w.lead_id is null
    on conflict (number, project_id) do update set calls = (select case when d.calls < caps.attempts then d.calls + 1 end from caps)
)
select j.id as lead_id, j.number, j.name, j.fields, j.zone, j.caller_number,
       coalesce(j.blocked, case when not exists (select from written) then 'number_live' end) as blocked
from judged j
"""  # noqa: S608 -- constants

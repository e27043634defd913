"""Giving leads back: what an ended call, and then the agent's result, do to the lead.

The rule for an outcome is a row of `retry_rules`; `campaigns.retry.after` says the same in Python, for explaining, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from campaigns.do_not_call_sql import ENTERED_AGAIN, listed_for_good
from campaigns.errors import BadInput, Missing
from campaigns.sql import Connection
from campaigns.states import Effect, LeadState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAttempt:
    """How an attempt ended. Times that are None leave what was saved before; `outcome` is a word of the dialer (`retry_rules` name the same words)."""

    attempt_id: UUID
    outcome: str
    ended_at: datetime
    sent_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    bridged_at: datetime | None = None
    greeted_at: datetime | None = None
    hangup_cause: int | None = None
    abandoned: bool = False
    agent_id: UUID | None = None
    device_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What became of the lead (None: the number was no lead)."""

    attempt_id: UUID
    lead_id: int | None
    lead_state: LeadState | None
    next_at: datetime | None


_LISTED = listed_for_good(number="e.number", client="p.client", project="p.id", region="known.region")
_FINISH = f"""
with
ended as (
    update attempts a
    set state = 'ended', outcome = i.outcome, ended_at = i.ended_at,
        sent_at = coalesce(i.sent_at, a.sent_at), ringing_at = coalesce(i.ringing_at, a.ringing_at),
        answered_at = coalesce(i.answered_at, a.answered_at), bridged_at = coalesce(i.bridged_at, a.bridged_at),
        hangup_cause = coalesce(i.hangup_cause, a.hangup_cause), abandoned = i.abandoned,
        agent_id = coalesce(i.agent_id, a.agent_id), device_id = coalesce(i.device_id, a.device_id),
        greeted_at = coalesce(i.greeted_at, a.greeted_at)
    from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
                $8::integer[], $9::boolean[], $10::uuid[], $11::uuid[], $12::timestamptz[])
         i (id, outcome, ended_at, sent_at, ringing_at, answered_at, bridged_at, hangup_cause, abandoned, agent_id, device_id, greeted_at)
    where a.id = i.id and a.state <> 'ended'
    returning a.id, a.lead_id, a.project_id, a.number, a.outcome, a.answered_at, a.bridged_at, a.greeted_at, a.ended_at, a.created_at, a.abandoned, a.mode, a.caller_number
),
counted as (      -- in this order, or two nodes that end calls of the same projects could wait for each other
    insert into answered_calls as c (project_id, quarter, outcome, wait_ds, calls)
    select project_id, quarter_of(ended_at), outcome, wait_ds(coalesce(greeted_at, answered_at), bridged_at), count(*)
    from ended where answered_at is not null group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (project_id, quarter, outcome, wait_ds) do update set calls = c.calls + excluded.calls
),
shown as (        -- for the health of caller numbers, in their order
    insert into caller_number_hours as h (caller_number, hour, project_id, calls, answered, short)
    select caller_number, date_trunc('hour', ended_at, 'UTC'), project_id, count(*), count(answered_at),
           count(*) filter (where not abandoned and ended_at < answered_at + interval '6 seconds')
    from ended where outcome <> 'not_sent' group by 1, 2, 3 order by 1, 2, 3
    on conflict (caller_number, hour, project_id) do update
    set calls = h.calls + excluded.calls, answered = h.answered + excluded.answered, short = h.short + excluded.short
),
gone as (
    delete from live_attempts v using ended e where v.attempt_id = e.id
),
remembered as (                 -- for the caps on answered and abandoned calls; in the order of the numbers, as the claim counts
    update callees c
    set answered[array_position(c.called, e.created_at)] = e.answered_at,
        abandoned[array_position(c.called, e.created_at)] = case when e.abandoned then e.answered_at end
    from (select l.number from callees l join ended e using (number) where e.answered_at is not null order by l.number for no key update of l) locked
    join ended e using (number)
    where c.number = locked.number and array_position(c.called, e.created_at) is not null
),
judged as (
    select e.*, r.retry_after, r.growth_percent, r.max_times, p.max_attempts,
           case when e.outcome = 'not_sent' or r.counts = false then 1 else 0 end as given_back,
           (select count(*) from attempts b where b.lead_id = e.lead_id and b.number = e.number and b.outcome = e.outcome) as times_before,
           {_LISTED} as do_not_call
    from ended e
    join projects p on p.id = e.project_id
    left join leads known on known.id = e.lead_id
    left join retry_rules r on r.project_id = e.project_id and r.outcome = e.outcome
    where e.lead_id is not null
),
moved as (
    update leads l
    set last_outcome = j.outcome,
        dialled = l.dialled - case when j.outcome = 'not_sent' then 1 else 0 end,
        attempts = l.attempts - j.given_back,   -- it was never dialled, or the rule says that it does not count: as if it had not been claimed
        state = case when j.do_not_call then 'do_not_call'
                     when j.outcome = 'not_sent' then case when l.callback_agent_id is not null then 'callback' else 'retry' end
                     when j.retry_after is null then 'done'
                     when j.times_before >= j.max_times or l.attempts - j.given_back >= j.max_attempts then 'exhausted'
                     when l.callback_agent_id is not null then 'callback'   -- promised by one agent: theirs to try again
                     else 'retry' end,
        next_at = case when j.outcome = 'not_sent' then j.ended_at
                       when j.retry_after is not null then j.ended_at + grown(j.retry_after, j.growth_percent, j.times_before) else l.next_at end
    from judged j
    where l.id = j.lead_id and l.state = 'in_flight'
    returning j.id, l.state, l.next_at
),
undialled as (    -- a number that is no lead, and was never on the wire
    update dialled_numbers d set calls = d.calls - n.calls
    from (select number, project_id, count(*)::integer as calls from ended where lead_id is null and outcome = 'not_sent' group by 1, 2) n
    where d.number = n.number and d.project_id = n.project_id
),
tried as (        -- in a trial: does the call keep its lead's place in the sample?
    select e.project_id, p.trial_run as run, e.lead_id,
           e.outcome <> 'not_sent' and (p.trial_counts = 'attempted' or e.answered_at is not null) as counts
    from ended e join projects p on p.id = e.project_id
    where e.mode = 'trial' and e.lead_id is not null
),
kept as (
    update trial_leads t set kept = true
    from tried r where t.project_id = r.project_id and t.run = r.run and t.lead_id = r.lead_id and r.counts
),
given_back as (
    delete from trial_leads t
    using tried r where t.project_id = r.project_id and t.run = r.run and t.lead_id = r.lead_id and not r.counts and not t.kept
    returning t.project_id, t.run
),
room as (
    update projects p set trial_taken = p.trial_taken - g.leads
    from (select project_id, run, count(*)::integer as leads from given_back group by project_id, run) g
    where p.id = g.project_id and p.trial_run = g.run
)
select e.id, e.lead_id, m.state as lead_state, case when m.state in ('retry', 'callback') then m.next_at end as next_at
from ended e left join moved m using (id)
"""  # noqa: S608 -- constants


async def finish(conn: Connection, batch: Sequence[EndedAttempt]) -> list[Finished]:
    """End attempts, count those that were answered, and move their leads, all or none. May be repeated: what has ended stays as it was and is not in the answer.

    A lead that its agent has wrapped up already keeps what the agent said. One attempt must not be twice in a batch (BadInput `batch_malformed`).
    """
    if not batch:
        return []
    if len({ended.attempt_id for ended in batch}) != len(batch):
        raise BadInput("batch_malformed", "An attempt is in the batch twice.")
    rows = await conn.fetch(
        _FINISH,
        [ended.attempt_id for ended in batch],
        [ended.outcome for ended in batch],
        [ended.ended_at for ended in batch],
        [ended.sent_at for ended in batch],
        [ended.ringing_at for ended in batch],
        [ended.answered_at for ended in batch],
        [ended.bridged_at for ended in batch],
        [ended.hangup_cause for ended in batch],
        [ended.abandoned for ended in batch],
        [ended.agent_id for ended in batch],
        [ended.device_id for ended in batch],
        [ended.greeted_at for ended in batch],
    )
    return [
        Finished(
            attempt_id=row["id"],
            lead_id=row["lead_id"],
            lead_state=LeadState(row["lead_state"]) if row["lead_state"] else None,
            next_at=row["next_at"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUp:
    """The agent's result of a call: a disposition of the call's project."""

    attempt_id: UUID
    disposition: str
    now: datetime
    note: str = ""
    agent_id: UUID | None = None
    callback_at: datetime | None = None
    callback_personal: bool = True
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """What the disposition did. `lead_state` is None when there is no lead, or when a newer attempt decides over it."""

    effect: Effect
    lead_id: int | None
    lead_state: LeadState | None
    next_at: datetime | None


_WRAP_UP = f"""
with
subject as materialized (
    select a.id, a.lead_id, a.number, a.project_id, a.caller_number, coalesce($6, a.agent_id) as agent_id, d.effect, d.meaning, p.max_attempts,
           grown(d.retry_after, d.growth_percent, (select count(*) from attempts b where b.lead_id = a.lead_id and b.disposition = $2 and b.id < a.id)) as retry_after,
           d.effect is not null and (d.effect <> 'callback' or $5::timestamptz is not null) as valid
    from attempts a
    join projects p on p.id = a.project_id
    left join dispositions d on d.project_id = a.project_id and d.code = $2
    where a.id = $1
),
marked as (       -- first the attempt, then leads, as _FINISH locks them: the end of the same call may be written at this moment
    update attempts a set disposition = $2, note = $3, wrapped_at = $4, agent_id = coalesce(a.agent_id, $6)
    from subject s where a.id = s.id and s.valid
    returning a.id
),
complained as (
    insert into caller_number_complaints (caller_number_id, attempt_id, source, user_id, created_at)
    select n.id, s.id, 'result', null, $4 from subject s join caller_numbers n on n.number = s.caller_number where s.valid and s.meaning = 'complaint'
    on conflict (attempt_id) do nothing
),
listed as (
    insert into do_not_call as d (number, reason, source, created_at)
    select s.number, $2, 'disposition', $4 from subject s where s.valid and s.effect = 'do_not_call'
    {ENTERED_AGAIN}
),
targets as materialized (       -- this lead, unless it was called again since; on do-not-call every project's lead of the number
    select s.lead_id as id from subject s join marked m on m.id = s.id
    where s.lead_id is not null and not exists (select from attempts b where b.lead_id = s.lead_id and b.id > s.id)
    union
    select l.id from subject s join marked m on m.id = s.id join leads l on l.number = s.number
    where s.effect = 'do_not_call' and l.state in ('new', 'retry', 'callback')
),
moved as (
    update leads l
    set disposition = case when l.id = s.lead_id then $2 else l.disposition end,
        fields = case when l.id = s.lead_id then l.fields || $8::jsonb else l.fields end,
        state = case s.effect
                    when 'do_not_call' then 'do_not_call'
                    when 'callback' then 'callback'
                    when 'retry' then case when l.attempts >= s.max_attempts then 'exhausted' else 'retry' end
                    else 'done' end,
        next_at = case s.effect when 'callback' then $5::timestamptz when 'retry' then $4::timestamptz + s.retry_after else l.next_at end,
        callback_agent_id = case when s.effect = 'callback' and $7 then s.agent_id end
    from targets t cross join subject s
    where l.id = t.id
    returning l.id, l.state, l.next_at
)
select s.effect, s.valid, s.lead_id, m.state as lead_state, case when m.state in ('retry', 'callback') then m.next_at end as next_at
from subject s left join moved m on m.id = s.lead_id
"""  # noqa: S608 -- constants


async def wrap_up(conn: Connection, result: WrapUp) -> Wrapped:
    """Write the agent's result and move the lead by it; a do-not-call holds in every project from this moment.

    May be repeated; the last result counts, as long as the lead was not called again.
    Errors: BadInput `disposition_unknown`, `callback_time_missing`; Missing `attempt_unknown`.
    """
    row = await conn.fetchrow(
        _WRAP_UP,
        result.attempt_id,
        result.disposition,
        result.note,
        result.now,
        result.callback_at,
        result.agent_id,
        result.callback_personal,
        result.fields,
    )
    if row is None:
        raise Missing("attempt_unknown", "There is no such attempt.", attempt_id=str(result.attempt_id))
    if row["effect"] is None:
        raise BadInput(
            "disposition_unknown",
            "The project has no such disposition; choose one of its list.",
            disposition=result.disposition,
        )
    if not row["valid"]:
        raise BadInput("callback_time_missing", "A callback needs the time at which to call back.")
    return Wrapped(
        effect=Effect(row["effect"]),
        lead_id=row["lead_id"],
        lead_state=LeadState(row["lead_state"]) if row["lead_state"] else None,
        next_at=row["next_at"],
    )

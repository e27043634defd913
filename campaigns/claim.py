"""Taking leads to dial. One statement decides and writes, so that whatever is killed, a number has at most one live attempt and stays under its cap.

What the statement does, in this order: the first leads of the list are locked (SKIP LOCKED: claimers never wait for each other's rows); each is put aside or taken;
`live_attempts` has the number as its key, so a number that is alive anywhere is refused by the database; `callee_days` counts only below the cap, else the
statement fails as a whole; in a trial so do the places of its sample; then the attempt is there, committed, before anybody may dial.

A lead that may not be dialled now does not stay at the front of the list: on the do-not-call list it leaves for good, over its cap it comes back
when tomorrow's window opens, while its number is alive elsewhere it comes back after a minute. So a claim costs the same however long the list is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Missing, NotEvaluable, Refused
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


_CLAIM = """
with recursive
project as (
    select p.id, p.daily_cap_per_number as cap, p.max_attempts, p.trial_run, p.trial_size - p.trial_taken as room,
           ($2::timestamptz at time zone p.zone)::date as day,
           ((($2::timestamptz at time zone p.zone)::date + 1) + p.window_start) at time zone p.zone as tomorrow
    from projects p
    where p.id = $1 and p.state = 'running'
      and ($11::uuid is null or exists (select from nodes n where n.name = $4 and n.holder = $11 and n.lease_until > clock_timestamp()))
),
priorities (priority) as (      -- the priorities that occur, highest first, one index step each
    (select l.priority from leads l
     where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null
     order by l.priority desc limit 1)
    union all
    select (select l.priority from leads l
            where l.project_id = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and l.priority < p.priority
            order by l.priority desc limit 1)
    from priorities p where p.priority is not null
),
front as materialized (
    select l.*, row_number() over () as place
    from (
        select l.id, l.number, l.attempts
        from (select priority from priorities where priority is not null) p
        cross join lateral (
            select l.id, l.number, l.attempts
            from leads l
            where l.project_id = $1 and l.priority = p.priority and l.next_at <= $2 and l.state in ('new', 'retry') and l.callback_agent_id is null
            order by l.next_at, l.id
            limit $3
            for no key update skip locked
        ) l
        where exists (select from project)
        limit $3
    ) l
),
judged as materialized (
    select f.id, f.number, f.place,
           case when exists (select from do_not_call d where d.number = f.number) then 'do_not_call'
                when f.attempts >= p.max_attempts then 'exhausted'
                when exists (select from live_attempts v where v.number = f.number) then 'number_live'
                when exists (select from callee_days c where c.number = f.number and c.day = p.day and c.attempts >= p.cap) then 'daily_cap'
           end as blocked,
           $8 = 'trial' and not exists (select from trial_leads t where t.project_id = $1 and t.run = p.trial_run and t.lead_id = f.id) as new_in_sample
    from front f cross join project p
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
counted as (                    -- null over the cap: the column refuses it, and with it the whole statement
    insert into callee_days as c (number, day, attempts)
    select a.number, p.day, 1 from (select number from alive order by number) a cross join project p
    on conflict (number, day) do update
    set attempts = case when c.attempts < (select cap from project) then c.attempts + 1 end
    returning number
),
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
                       when j.blocked = 'daily_cap' then (select tomorrow from project)
                       else $2::timestamptz + interval '1 minute' end
    from judged j left join chosen c on c.id = j.id left join written w on w.lead_id = j.id
    where l.id = j.id and (j.blocked is not null or c.id is not null)
    returning l.id, l.number, l.name, l.fields, w.id as attempt_id
)
select m.attempt_id, m.id as lead_id, m.number, m.name, m.fields, c.caller_number,
       (select count(*) from front) as seen
from moved m left join chosen c on c.attempt_id = m.attempt_id
"""


async def claim(conn: Connection, request: ClaimRequest) -> list[ClaimedLead]:
    """Take the next leads of a running project; fewer than asked for, or none, when there are no more that may be dialled now.

    Each round is one statement and one transaction; a second round comes only when leads were put aside. Inside a transaction of the caller it must be
    the only thing, and a refusal undoes it.
    When the answer is lost with the connection, nothing is known: the attempts, if any, are found by their ids.
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
        )
        taken = [row for row in rows if row["attempt_id"] is not None]
        claimed += [_claimed(row, request) for row in taken]
        for row in taken:
            del slots[row["attempt_id"]]
        if not slots or len(rows) == len(taken) or rows[0]["seen"] < scan:
            break
        scan = max(len(slots), _PUT_ASIDE_SCAN)
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
            if error.table_name not in {"callee_days", "projects"}:
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


_CLAIM_NUMBER = """
with
project as (
    select p.id, p.daily_cap_per_number as cap, ($2::timestamptz at time zone p.zone)::date as day
    from projects p where p.id = $1 and p.state = 'running'
),
lead as materialized (
    select l.id, l.number, l.name, l.fields
    from leads l
    where l.project_id = $1 and (l.id = $9 or l.number = $10)
    for no key update
),
target as materialized (
    select l.id, l.number, l.name, l.fields from lead l
    union all
    select null, $10, '', '{}'::jsonb where $10::text is not null and not exists (select from lead)
),
judged as materialized (
    select t.*,
           case when $12::uuid is not null
                     and not exists (select from nodes n where n.name = $3 and n.holder = $12 and n.lease_until > clock_timestamp()) then 'node_lost'
                when not exists (select from project) then 'project_not_running'
                when exists (select from do_not_call d where d.number = t.number) then 'do_not_call'
                when exists (select from live_attempts v where v.number = t.number) then 'number_live'
                when exists (select from callee_days c, project p where c.number = t.number and c.day = p.day and c.attempts >= p.cap) then 'daily_cap'
           end as blocked,
           exists (select from project_caller_numbers a join caller_numbers n on n.id = a.caller_number_id
                   where a.project_id = $1 and n.number = $6 and n.trunk_id = $4 and n.state = 'active') as listed
    from target t
),
alive as (
    insert into live_attempts (number, attempt_id, lead_id, project_id, node, created_at)
    select number, $5, id, $1, $3, $2 from judged where blocked is null
    on conflict (number) do nothing
    returning number
),
counted as (
    insert into callee_days as c (number, day, attempts)
    select a.number, p.day, 1 from alive a cross join project p
    on conflict (number, day) do update
    set attempts = case when c.attempts < (select cap from project) then c.attempts + 1 end
    returning number
),
written as (
    insert into attempts (id, lead_id, project_id, number, node, trunk_id, caller_number, mode, agent_id, device_id, state, created_at)
    select $5, j.id, $1, j.number, $3, $4, case when j.listed then $6 end, $7, $8, $11, 'committed', $2
    from judged j join counted using (number)
    returning lead_id
),
moved as (
    update leads l set state = 'in_flight', attempts = l.attempts + 1, last_attempt_at = $2
    from written w where l.id = w.lead_id
)
select j.id as lead_id, j.number, j.name, j.fields,
       coalesce(j.blocked, case when not exists (select from written) then 'number_live' end) as blocked
from judged j
"""

_WHY: Final = {
    "node_lost": "This engine does not own its node at this moment; nothing was dialled.",
    "project_not_running": "The project is not running; start it first.",
    "do_not_call": "This number is on the do-not-call list and is not dialled.",
    "number_live": "This number is being called at this moment; wait until that call has ended.",
    "daily_cap": "This number was called as often today as is allowed; try again tomorrow.",
}


async def claim_number(
    conn: Connection, request: ClaimRequest, *, lead_id: int | None = None, number: str | None = None
) -> ClaimedLead:
    """Take one named lead of the project, or a number (E.164) that may or may not be a lead of it: manual dialling, preview, callbacks.

    The lead's own state, retry time and number of attempts do not hold a person back; the caps, the do-not-call list and a live call do.
    Errors: Refused `node_lost`, `project_not_running`, `do_not_call`, `number_live`, `daily_cap`, `caller_number_refused`; Missing `lead_unknown`; BadInput `claim_malformed`.
    """
    if len(request.attempt_ids) != 1 or len(request.caller_numbers) != 1 or (lead_id is None) == (number is None):
        raise BadInput("claim_malformed", "Name one lead or one number, with one attempt id and one caller number.")
    rows = await _run(
        conn,
        _CLAIM_NUMBER,
        request.project_id,
        request.now,
        request.node,
        request.trunk_id,
        request.attempt_ids[0],
        request.caller_numbers[0],
        request.mode.value,
        request.agent_id,
        lead_id,
        number,
        request.device_id,
        request.holder,
    )
    if not rows:
        raise Missing("lead_unknown", "The project has no such lead.", lead_id=lead_id)
    (row,) = rows
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

"""What happened to a project on a day of its zone, from the rows: the draft of its log. By indexes, as much as the day has; for people."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from campaigns.projects import Project, lead_counts
from campaigns.sql import Connection

_CALLS = """
with
of_day as (
    select a.lead_id, a.agent_id, a.outcome, a.answered_at, a.bridged_at, a.ended_at, a.abandoned, a.disposition,
           (select d.meaning from dispositions d where d.project_id = a.project_id and d.code = a.disposition) as meaning,
           exists (select from caller_number_complaints k where k.attempt_id = a.id) as complained
    from attempts a
    where a.project_id = $1 and a.id >= uuid7_floor($2) and a.id < uuid7_floor($3) and a.outcome is distinct from 'not_sent'
)
select count(*) as calls, count(distinct lead_id) as leads, count(distinct lead_id) filter (where answered_at is not null) as reached,
       count(distinct lead_id) filter (where bridged_at is not null) as connected,
       count(distinct lead_id) filter (where ended_at - bridged_at >= make_interval(secs => $4::integer)) as valid,
       count(distinct lead_id) filter (where meaning = 'conversion') as converted,
       count(*) filter (where complained or meaning = 'complaint') as complaints, count(*) filter (where abandoned) as abandoned,
       coalesce(round(sum(extract(epoch from ended_at - bridged_at))), 0)::bigint as talk_s,
       (select coalesce(jsonb_object_agg(o.outcome, o.calls), '{}') from (select outcome, count(*) as calls from of_day where outcome is not null group by outcome) o) as outcomes,
       (select coalesce(jsonb_object_agg(r.disposition, r.calls), '{}')
        from (select disposition, count(*) as calls from of_day where disposition is not null group by disposition) r) as results
from of_day
"""
_AGENTS = """
select g.number, g.display_name as name, coalesce(c.calls, 0) as calls, coalesce(c.converted, 0) as converted, coalesce(c.talk_s, 0) as talk_s,
       coalesce(w.work_s, 0) as work_s
from (select a.agent_id, count(*) filter (where a.bridged_at is not null) as calls,
             count(distinct a.lead_id) filter (where d.meaning = 'conversion') as converted,
             coalesce(round(sum(extract(epoch from a.ended_at - a.bridged_at))), 0)::bigint as talk_s
      from attempts a left join dispositions d on d.project_id = a.project_id and d.code = a.disposition
      where a.project_id = $1 and a.id >= uuid7_floor($2) and a.id < uuid7_floor($3) and a.agent_id is not null
      group by a.agent_id) c
full join (select t.agent_id, round(sum(extract(epoch from least(coalesce(t.ended_at, $4), $3) - t.began_at)))::bigint as work_s
           from agent_times t
           where t.project_id = $1 and t.began_at >= $2 and t.began_at < least($3, $4::timestamptz) and t.state in ('talking', 'wrap_up')
           group by t.agent_id) w using (agent_id)
join agents g on g.id = agent_id
order by g.number
"""
_STEPS = """
select step, to_life, at, actor, why, changed from project_steps where project_id = $1 and at >= $2 and at < $3 order by id
"""
_ALARMS = """
select kind, raised_at, cleared_at, detail from project_alarms where project_id = $1 and raised_at >= $2 and raised_at < $3 order by raised_at
"""


def span_of(day: date, zone: str) -> tuple[datetime, datetime]:
    """When a day begins and ends in a zone, in UTC. Errors: those of ZoneInfo."""
    begins, ends = (datetime.combine(one, time(), ZoneInfo(zone)) for one in (day, day + timedelta(days=1)))
    return begins.astimezone(UTC), ends.astimezone(UTC)


async def facts_of_day(conn: Connection, project: Project, day: date, now: datetime) -> dict[str, Any]:
    """The facts as plain values; the leads that are left are those of now."""
    since, until = span_of(day, project.zone)
    calls = await conn.fetchrow(_CALLS, project.id, since, until, project.valid_connect_s)
    assert calls is not None  # noqa: S101 -- an aggregate always gives a row
    agents = [dict(row) for row in await conn.fetch(_AGENTS, project.id, since, until, now)]
    steps = await conn.fetch(_STEPS, project.id, since, until)
    alarms = await conn.fetch(_ALARMS, project.id, since, until)
    counts = await lead_counts(conn, project.id, now)
    zone = ZoneInfo(project.zone)
    return {
        "project": project.name,
        "client": project.client,
        "day": day.isoformat(),
        "drafted_at": now.astimezone(zone).isoformat(timespec="seconds"),
        "calls": dict(calls),
        "agents": agents,
        "agent_count": len(agents),
        "work_s": sum(one["work_s"] for one in agents),
        "steps": [
            {
                "at": _clock(row["at"], zone), "step": row["step"], "life": row["to_life"], "by": row["actor"], "why": row["why"],
                "changed": row["changed"],
            }
            for row in steps
        ],
        "alarms": [
            {
                "kind": row["kind"], "raised": _clock(row["raised_at"], zone),
                "cleared": None if row["cleared_at"] is None else _clock(row["cleared_at"], zone), "detail": row["detail"],
            }
            for row in alarms
        ],
        "left": {"fresh": counts["new"], "coming_back": counts["retry"], "callbacks": counts["callback"], "dialable_now": counts["dialable_now"]},
    }  # fmt: skip


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%H:%M:%S")

"""The parts of a list: its priorities and zones, and in each of them who was never called and who comes again; as the claim and the preview go through them."""

from __future__ import annotations

from typing import Final

PARTS: Final = """parts (priority, zone) as (     -- those that occur among the leads of project $1 that wait, in the order of the index, one index step each
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
)"""
"""For `with recursive`."""

STREAMS: Final = """streams (turn, earliest, latest) as (      -- who was never called has no time; who comes again goes by it, and before or after them
    select 1, '-infinity'::timestamptz, $2::timestamptz where not exists (select from supplies s where s.project_id = $1 and s.retry_first)
    union all
    select s.turn, s.earliest, s.latest from (values (1, '4713-01-01 00:00:00+00 BC'::timestamptz, $2::timestamptz), (2, '-infinity', '-infinity')) s (turn, earliest, latest)
    where exists (select from supplies s where s.project_id = $1 and s.retry_first)
)"""
"""For `with`, at the moment $2."""

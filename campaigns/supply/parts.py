"""The parts of a list: its priorities and zones, as the claim goes through them."""

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

"""Which caller number a call shows, as parts of the claiming statement: only what is listed, may be shown and has calls left; then by preference.

The engine offers numbers with the room it has for each (calls at once, a second, an hour), the longest unused first. The database leaves out what is not on
the project's list, rests, cools down, is not certified or not for the project's purpose, and what its day is used up of. Among the rest, for each lead:
the number this person was shown last; one of the same city; of the same province; the least in use; the longest unused.
"""

from __future__ import annotations

from typing import Final

PREFERENCE: Final = """
o.number is distinct from {lead}.last_caller_number,
not (o.city <> '' and o.city is not distinct from {lead}.city and o.province is not distinct from {lead}.province),
not (o.province <> '' and o.province is not distinct from {lead}.province),
o.uses + {taken}, o.seat
"""
"""The order of preference among `offers` o for `lead` (last_caller_number, city, province); `taken`: what this statement has given of o already."""

OFFERS: Final = """
offers as materialized (
    select (row_number() over (order by i.place))::integer as seat, n.id, n.number, n.province, n.city, i.uses, least(i.room, calls_left(n, $2)) as room
    from unnest({numbers}::text[], {rooms}::integer[], {uses}::integer[]) with ordinality i (number, room, uses, place)
    join caller_numbers n on n.number = i.number and n.trunk_id = $5
    join project_caller_numbers a on a.caller_number_id = n.id and a.project_id = $1
    cross join project p
    where may_be_shown(n, p.purpose, p.day) and least(i.room, calls_left(n, $2)) > 0
),
"""
"""What may be shown at this moment. `numbers`, `rooms`, `uses`: the places of the engine's offers among the arguments."""

SHOWN: Final = """
shown as (                      -- where there is something to count: the others wait for nobody; null when it rests since, or others have used it up: the column refuses it, and with it the whole statement
    update caller_numbers n
    set used_on = (select ($2::timestamptz at time zone n.zone)::date),
        used_today = case when n.state = 'active' and coalesce(calls_left(n, $2), s.calls) >= s.calls
                          then s.calls + case when n.used_on = ($2::timestamptz at time zone n.zone)::date then n.used_today else 0 end end,
        used_since_cool = case when n.cool_after_calls > n.used_since_cool + s.calls then n.used_since_cool + s.calls else 0 end,
        cools_until = case when n.cool_after_calls = n.used_since_cool + s.calls then $2::timestamptz + make_interval(mins => n.cool_min) else n.cools_until end
    from (select caller_number, count(*)::integer as calls from {written} group by caller_number) s
    where n.number = s.caller_number and (n.max_per_day is not null or n.cool_after_calls is not null)
)"""
"""Counts what `written` (caller_number) shows."""

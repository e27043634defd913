"""Rule packs in use: a new version in time, or their projects stand still on the day a pack, or its calendar of holidays, comes to its end."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from campaigns.rule_packs import rules_of
from campaigns.rules.ending import NOTICE, Ending, Ends, endings
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.doctor.postgres import Unreachable, connect
from dialer.settings import Settings

_NAMED = 5
_SUBJECT = "calling rules"
_IN_USE = """
select p.id, p.name, (now() at time zone p.zone)::date as today from projects p
where p.state not in ('completed', 'settled', 'archived')
  and exists (select from project_rule_packs r where r.project_id = p.id and r.dropped_at is null)
order by p.name
"""
_DO = {
    Ends.PACK: "Put its newer version in force before that day (waihu rules use).",
    Ends.CALENDAR: "Add a version of the pack with the calendar of the new year, when that is published (waihu rules add), and put it in force before that day (waihu rules use).",
}


async def coming_to_an_end(settings: Settings) -> list[Finding]:
    """One finding for each pack that comes to its end, with the projects that would stand still."""
    held: dict[Ending, list[str]] = defaultdict(list)
    over: set[Ending] = set()
    try:
        async with connect(settings) as connection:
            projects = await connection.fetch(_IN_USE)
            rules = await rules_of(connection, [project["id"] for project in projects])
    except Unreachable as error:
        return [fault(_SUBJECT, f"not examined: {error}", "See the finding for postgresql.")]
    for project in projects:
        today: date = project["today"]
        for ending in endings(rules[project["id"]], today):
            held[ending].append(project["name"])
            if ending.day <= today:
                over.add(ending)
    return [_finding(one, held[one], over=one in over) for one in sorted(held)] or [
        ok(_SUBJECT, f"no pack in use ends within {NOTICE.days} days")
    ]


def _finding(ending: Ending, names: list[str], *, over: bool) -> Finding:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    seen = f"{ending.reason} Projects: {', '.join(names[:_NAMED])}{more}"
    return (fault if over else warning)(_SUBJECT, seen, _DO[ending.what])

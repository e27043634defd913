"""A whole list by what holds each lead back, and what other packs would change. Reads every lead of the project: for people, not for every tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from campaigns.do_not_call_sql import listed
from campaigns.gates import openings
from campaigns.projects import Project
from campaigns.rules.judge import zone_of
from campaigns.rules.ruleset import RuleSet
from campaigns.rules.schema import Attempts, Blind, Consent, Frequency
from campaigns.sql import OneConnection

DIALABLE: Final = "dialable"
ORDER: Final = (
    DIALABLE, "outside_window", "not_due", "sample_full", "filtered", "do_not_call", "region_unknown", "blind_region", "no_consent", "exhausted", "number_live", "daily_cap",
    "frequency_cap", "in_flight", "callback", "done",
)  # fmt: skip
"""What can hold a lead back, as the claim names it; the words of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """So many leads for one reason; `until`: when the first of them may be called, as far as that is known."""

    reason: str
    leads: int
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """So many leads that would go from one reason to another."""

    before: str
    after: str
    leads: int


_ZONES = "select distinct coalesce(zone, '') as zone from leads where project_id = $1"

# The places of one set of rules among the arguments; a comparison asks two sets in one reading.
_TYPES: Final = {
    "open_zones": "text[]",
    "most": "integer[]",
    "period_s": "bigint[]",
    "counts": "text[]",
    "reach": "text[]",
    "attempts": "integer",
    "scopes": "text[]",
    "prefixes": "text[]",
    "regions": "text[]",
}


def _reason(first: int) -> str:
    """The reason of lead `l` of project `p` at $2, as the claim would find it, in the claim's order and words; its rules are arguments from `first` on."""
    at = {name: f"${first + place}::{kind}" for place, (name, kind) in enumerate(_TYPES.items())}
    capped = (
        "capped_until(c.called, c.projects, c.clients, c.answered, c.abandoned, $2, p.id, p.client, "
        f"{at['most']}, {at['period_s']}, {at['counts']}, {at['reach']})"
    )
    return f"""
    case when l.state in ('in_flight', 'done', 'do_not_call', 'exhausted') then l.state
         when {listed(number="l.number", client="p.client", project="p.id", region="l.region", at="$2::timestamptz")} then 'do_not_call'
         when l.region is null and exists (select from do_not_call_areas d where d.kind = 'region' and (d.client is null or d.client = p.client)
              and (d.project_id is null or d.project_id = p.id) and coalesce(d.expires_at, 'infinity') > $2) then 'region_unknown'
         when (cardinality({at["prefixes"]}) > 0 and {at["prefixes"]} && prefixes_of(l.number)) or (cardinality({at["regions"]}) > 0 and coalesce(l.region = any ({at["regions"]}), true))
              then 'blind_region'
         when exists (select from unnest({at["scopes"]}) s (scope) where not exists (
              select from consents c where c.number = l.number and c.scope = s.scope and c.client in ('', p.client) and c.granted_at <= $2
                 and coalesce(c.expires_at, 'infinity') > $2 and coalesce(c.withdrawn_at, 'infinity') > $2)) then 'no_consent'
         when l.attempts >= p.max_attempts or l.dialled >= {at["attempts"]} then 'exhausted'
         when exists (select from live_attempts v where v.number = l.number) then 'number_live'
         when exists (select from callees c where c.number = l.number
                      and calls_on_day(c.called, ($2::timestamptz at time zone p.zone)::date, p.zone) >= p.daily_cap_per_number) then 'daily_cap'
         when cardinality({at["most"]}) > 0 and exists (select from callees c where c.number = l.number and {capped} is not null) then 'frequency_cap'
         when l.state = 'callback' or l.callback_agent_id is not null then 'callback'
         when l.held then 'filtered'
         when coalesce(l.zone, '') <> all ({at["open_zones"]}) then 'outside_window'
         when l.next_at > $2 then 'not_due'
         when p.mode = 'trial' and p.trial_taken >= p.trial_size then 'sample_full'
         else 'dialable' end
"""  # noqa: S608 -- constants


_COUNTS = f"""
select reason, count(*) as leads,
       min(case reason when 'outside_window' then (select o.at from unnest($12::text[], $13::timestamptz[]) o (zone, at) where o.zone = judged.zone)
                       when 'not_due' then next_at end) as until
from (select {_reason(3)} as reason, coalesce(l.zone, '') as zone, l.next_at from leads l join projects p on p.id = l.project_id where l.project_id = $1) judged
group by reason
"""  # noqa: S608 -- constants


async def explain_counts(conn: OneConnection, project: Project, at: datetime) -> list[Held]:
    """The leads of a project by what holds them back, in the order of `ORDER`."""
    zones = await _openings(conn, project, at)
    shut = {zone: opens for zone, opens in zones.items() if opens is not None}
    rows = await conn.fetch(_COUNTS, project.id, at, *_arguments(project, at, zones), list(shut), list(shut.values()))
    found = {row["reason"]: Held(reason=row["reason"], leads=row["leads"], until=row["until"]) for row in rows}
    return [found[reason] for reason in ORDER if reason in found]


_CHANGES = f"""
select before, after, count(*) as leads
from (select {_reason(3)} as before, {_reason(3 + len(_TYPES))} as after from leads l join projects p on p.id = l.project_id where l.project_id = $1) judged
where before <> after group by before, after order by count(*) desc, before, after
"""  # noqa: S608 -- constants


async def dry_run(conn: OneConnection, project: Project, rules: RuleSet, at: datetime) -> list[Change]:
    """What would become of the leads if these rules were in force in the place of the project's, at `at`; the most leads first.

    Packs that ran out, ring times and the age of lists shut the whole project and are not counted by lead: see `gates.decide`.
    """
    changed = replace(project, rules=rules)
    now = _arguments(project, at, await _openings(conn, project, at))
    then = _arguments(changed, at, await _openings(conn, changed, at))
    rows = await conn.fetch(_CHANGES, project.id, at, *now, *then)
    return [Change(before=row["before"], after=row["after"], leads=row["leads"]) for row in rows]


async def _openings(conn: OneConnection, project: Project, at: datetime) -> dict[str, datetime | None]:
    """The zones of the list, with when each opens; None: it is open."""
    asked = openings(project, at)
    return {row["zone"]: asked.ask(row["zone"]) for row in await conn.fetch(_ZONES, project.id)}


def _arguments(project: Project, at: datetime, zones: Mapping[str, datetime | None]) -> Sequence[object]:
    day = at.astimezone(zone_of(project.zone)).date()
    lines = [rule.line for rule in project.rules.in_force(day, project.mode.value)]
    caps = [line for line in lines if isinstance(line, Frequency)]
    blind = [line for line in lines if isinstance(line, Blind)]
    given: Mapping[str, Any] = {
        "open_zones": [zone for zone, opens in zones.items() if opens is None],
        "most": [cap.most for cap in caps],
        "period_s": [int(cap.period.total_seconds()) for cap in caps],
        "counts": [cap.counts.value for cap in caps],
        "reach": [cap.of.value for cap in caps],
        "attempts": min((line.most for line in lines if isinstance(line, Attempts)), default=1_000_000),
        "scopes": [line.scope for line in lines if isinstance(line, Consent)],
        "prefixes": [prefix for line in blind for prefix in line.prefixes],
        "regions": [region for line in blind for region in line.regions],
    }
    return [given[name] for name in _TYPES]


def spoken(held: Sequence[Held]) -> str:
    """The counts in one sentence: `312,000 leads: 41,000 outside window until 09:00, 2,100 do not call`. Times are UTC."""
    total = sum(one.leads for one in held)
    parts = [
        f"{one.leads:,} {one.reason.replace('_', ' ')}"
        + (f" until {one.until:%Y-%m-%d %H:%M} UTC" if one.until else "")
        for one in held
    ]
    return f"{total:,} leads: {', '.join(parts)}." if parts else "The project has no leads."

"""What several statements ask of the do-not-call lists and write to them, said once."""

from __future__ import annotations

from typing import Final

_OF_NUMBER: Final = """
d.number = {number} and (d.client is null or d.client = {client}) and (d.project_id is null or d.project_id = {project}) and {stands}
"""
_OF_AREA: Final = """
(d.kind = 'prefix' and d.value = any (prefixes_of({number})) or d.kind = 'region' and d.value = {region})
and (d.client is null or d.client = {client}) and (d.project_id is null or d.project_id = {project}) and {stands}
"""
_LISTED: Final = f"""(
    exists (select from do_not_call d where {_OF_NUMBER})
    or (exists (select from do_not_call_areas) and exists (select from do_not_call_areas d where {_OF_AREA}))
)"""  # noqa: S608 -- most installations have no areas: that is asked once for the whole statement
_UNTIL: Final = f"""(
    select max(coalesce(ends, 'infinity')) from (
        select d.expires_at as ends from do_not_call d where {_OF_NUMBER}
        union all select d.expires_at from do_not_call_areas d where {_OF_AREA}
    ) entries
)"""  # noqa: S608 -- constants
_STANDS: Final = "coalesce(d.expires_at, 'infinity') > {at}"
_FOR_GOOD: Final = "d.expires_at is null"


def listed(*, number: str, client: str, project: str, region: str, at: str) -> str:
    """The condition by which a number is on a list at a moment, with these SQL expressions (never values from outside) in its places."""
    return _LISTED.format(number=number, client=client, project=project, region=region, stands=_STANDS.format(at=at))


def listed_for_good(*, number: str, client: str, project: str, region: str) -> str:
    """The same for entries that have no end: by these, and by no others, a lead leaves its list."""
    return _LISTED.format(number=number, client=client, project=project, region=region, stands=_FOR_GOOD)


def listed_until(*, number: str, client: str, project: str, region: str, at: str) -> str:
    """When the last entry that holds at a moment ends: `infinity` when one has no end, null when none holds."""
    return _UNTIL.format(number=number, client=client, project=project, region=region, stands=_STANDS.format(at=at))


_REACH: Final = "coalesce(client, ''), coalesce(project_id, '00000000-0000-0000-0000-000000000000')"
_LATER: Final = "coalesce(excluded.expires_at, 'infinity') > coalesce(d.expires_at, 'infinity')"
_END: Final = "expires_at = case when d.expires_at is not null and excluded.expires_at is not null then greatest(d.expires_at, excluded.expires_at) end"

ENTERED_AGAIN: Final = f"""
on conflict (number, category, {_REACH}) do update
set {_END}, guarded_until = greatest(d.guarded_until, excluded.guarded_until),
    reason = excluded.reason, source = excluded.source, user_id = excluded.user_id, created_at = excluded.created_at
where {_LATER} or excluded.guarded_until > coalesce(d.guarded_until, '-infinity')
"""
"""For `insert into do_not_call as d`: what holds for longer than the entry that is there takes its place; no later word makes an entry shorter."""

AREA_ENTERED_AGAIN: Final = f"""
on conflict (kind, value, {_REACH}) do update
set {_END}, reason = excluded.reason, user_id = excluded.user_id, created_at = excluded.created_at
where {_LATER}
"""
"""The same for `insert into do_not_call_areas as d`."""


_ENTRIES: Final = """
select d.category, d.client, d.project_id, d.reason, d.source, d.created_at, d.expires_at from do_not_call d
where d.number = {number} and (d.client is null or d.client = {client}) and (d.project_id is null or d.project_id = {project})
  and d.created_at <= {at} and coalesce(d.expires_at, 'infinity') > {at}
union all
select d.kind || ' ' || d.value, d.client, d.project_id, d.reason, 'list of areas', d.created_at, d.expires_at from do_not_call_areas d
where (d.kind = 'prefix' and d.value = any (prefixes_of({number})) or d.kind = 'region' and d.value = {region})
  and (d.client is null or d.client = {client}) and (d.project_id is null or d.project_id = {project})
  and d.created_at <= {at} and coalesce(d.expires_at, 'infinity') > {at}
order by created_at
"""


def listed_entries(*, number: str, client: str, project: str, region: str, at: str) -> str:
    """The statement that gives the entries `listed` is true for, as they stand now, of those made before `at`."""
    return _ENTRIES.format(number=number, client=client, project=project, region=region, at=at)

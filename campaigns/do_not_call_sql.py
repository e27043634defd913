"""The one condition by which a number is on a do-not-call list, written once for all statements that ask it."""

from __future__ import annotations

from typing import Final

_LISTED: Final = """(
    exists (select from do_not_call d where d.number = {number} and (d.client is null or d.client = {client})
            and (d.project_id is null or d.project_id = {project}) and coalesce(d.expires_at, 'infinity') > {at})
    or (exists (select from do_not_call_areas) and exists (      -- most installations have none: that is asked once for the whole statement
        select from do_not_call_areas d where (d.kind = 'prefix' and d.value = any (prefixes_of({number})) or d.kind = 'region' and d.value = {region})
        and (d.client is null or d.client = {client}) and (d.project_id is null or d.project_id = {project}) and coalesce(d.expires_at, 'infinity') > {at}))
)"""


def listed(*, number: str, client: str, project: str, region: str, at: str) -> str:
    """The condition with these SQL expressions (never values from outside) in its places."""
    return _LISTED.format(number=number, client=client, project=project, region=region, at=at)


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

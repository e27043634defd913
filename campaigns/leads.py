"""Leads: who is to be called, and how far we are with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.locality.locating import PLACE_NOW, REGION
from campaigns.locality.plan import zone_of
from campaigns.numbers import NumberKind, normalise
from campaigns.sql import Connection
from campaigns.states import LeadState
from campaigns.supply.supplies import entry, judge_again

MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A lead as it is now. `next_at` is None for one that may be called at any time.

    `other_numbers` are tried after `number`, in this order; `reference` is the client's own key for the person; `kind` (of `number`), `zone`, `province` and `city` are the number's (None: not known);
    `carrier` is what the list says, else what the tables say.
    """

    id: int
    project_id: UUID
    import_id: UUID | None
    number: str
    other_numbers: list[str]
    reference: str | None
    kind: NumberKind | None
    zone: str | None
    carrier: str | None
    province: str | None
    city: str | None
    name: str
    fields: dict[str, Any]
    state: LeadState
    priority: int
    next_at: datetime | None
    attempts: int
    last_outcome: str | None
    last_attempt_at: datetime | None
    disposition: str | None
    callback_agent_id: UUID | None
    created_at: datetime


_COLUMNS = """id, project_id, import_id, number, other_numbers, reference, kind, zone, coalesce(carrier, (select p.carrier from places p where p.id = place_id)) as carrier,
       (select nullif(p.province, '') from places p where p.id = place_id) as province, (select nullif(p.city, '') from places p where p.id = place_id) as city,
       name, fields, state, priority, nullif(next_at, '-infinity') as next_at, attempts, last_outcome, last_attempt_at, disposition, callback_agent_id, created_at"""

_ADD = f"""
insert into leads (project_id, number, name, fields, priority, place_id, zone, region, held, rank, kind, state)
select $1, n.number, $3, $4, $5, place.id, coalesce(nullif(place.zone, ''), nullif($6, '')), {REGION}, $7::boolean, $8::bigint, $9,
       case when exists (select from do_not_call d join projects p on p.id = $1
                         where d.number = n.number and (d.client is null or d.client = p.client) and (d.project_id is null or d.project_id = $1)
                           and d.expires_at is null) then 'do_not_call' else 'new' end
from (select $2::text as number) n {PLACE_NOW.format(number="n.number")}
returning id
"""  # noqa: S608 -- constants


async def add_lead(
    conn: Connection,
    *,
    project_id: UUID,
    number: str,
    name: str = "",
    fields: Mapping[str, Any] | None = None,
    priority: int = 0,
    region: str = "CN",
) -> int:
    """One lead by hand; on the do-not-call list it is marked and not dialled.

    Errors: those of `numbers.normalise`; Conflict `lead_exists`; Missing `project_unknown`; BadInput `name_too_long`.
    """
    if len(name) > MAX_NAME:
        raise BadInput("name_too_long", f"A name has at most {MAX_NAME} characters.")
    try:
        parsed = normalise(number, region)
        e164 = parsed.e164
        place = await entry(conn, project_id)
        given = (
            project_id,
            e164,
            name,
            dict(fields or {}),
            priority,
            zone_of(e164),
            place.held,
            place.rank,
            parsed.kind.value,
        )
        lead_id: int = await conn.fetchval(_ADD, *given)
        await judge_again(conn, project_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("lead_exists", "The project has a lead with this number already.") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise Missing("project_unknown", "There is no such project.") from error
    return lead_id


_GET = f"select {_COLUMNS} from leads where id = $1"  # noqa: S608 -- a constant


async def get_lead(conn: Connection, lead_id: int) -> Lead:
    """One lead. Errors: Missing `lead_unknown`."""
    row = await conn.fetchrow(_GET, lead_id)
    if row is None:
        raise Missing("lead_unknown", "There is no such lead.", lead_id=lead_id)
    return _lead(row)


_FIND = f"select {_COLUMNS} from leads where project_id = $1 and number = $2"  # noqa: S608 -- a constant


async def find_lead(conn: Connection, project_id: UUID, number: str) -> Lead | None:
    """The lead of a project with this number (E.164)."""
    row = await conn.fetchrow(_FIND, project_id, number)
    return None if row is None else _lead(row)


_LIST = f"""
select {_COLUMNS} from leads
where project_id = $1 and id > $2 and ($3::text is null or state = $3)
order by id
limit $4
"""  # noqa: S608 -- constants


async def list_leads(
    conn: Connection, project_id: UUID, *, state: LeadState | None = None, after: int = 0, limit: int = 100
) -> list[Lead]:
    """Leads of a project in the order of their ids, those after one."""
    return [_lead(row) for row in await conn.fetch(_LIST, project_id, after, state.value if state else None, limit)]


def _lead(row: asyncpg.Record) -> Lead:
    kind = None if row["kind"] is None else NumberKind(row["kind"])
    return Lead(**{**row, "state": LeadState(row["state"]), "kind": kind})

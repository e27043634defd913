"""A project's leads as a table: its columns, then page after page, in constant memory. Nothing is masked here; whoever shows it does that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from campaigns.leads import Lead, list_leads
from campaigns.sql import Connection
from campaigns.states import LeadState

PAGE = 2000
MAX_FIELDS = 1000

_FIELD_NAMES = """
select distinct key from leads l cross join lateral jsonb_object_keys(l.fields) key
where l.project_id = $1 and ($2::text is null or l.state = $2) order by key limit $3
"""


async def field_names(conn: Connection, project_id: UUID, state: LeadState | None) -> list[str]:
    """The names of all columns the leads of a project have of their client. Reads them all: for an export, not for a screen."""
    rows = await conn.fetch(_FIELD_NAMES, project_id, state.value if state else None, MAX_FIELDS)
    return [row["key"] for row in rows]


async def leads_in_pages(conn: Connection, project_id: UUID, state: LeadState | None) -> AsyncIterator[list[Lead]]:
    """The leads of a project in the order they came."""
    after = 0
    while page := await list_leads(conn, project_id, state=state, after=after, limit=PAGE):
        yield page
        after = page[-1].id

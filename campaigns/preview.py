"""Preview: an agent looks at the next lead before it is dialled. Held by its own time, so whatever dies, the lead comes back by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewLead:
    """The lead that is shown, until `held_until`. `due_at`: since when it may be called (None: from the beginning)."""

    lead_id: int
    number: str
    name: str
    fields: dict[str, Any]
    due_at: datetime | None
    held_until: datetime


_HOLD = """
with next as (
    select l.id, nullif(l.next_at, '-infinity') as due_at
    from leads l join projects p on p.id = l.project_id
    where l.project_id = $1 and p.state = 'running' and l.state in ('new', 'retry') and l.callback_agent_id is null and l.next_at <= $2
      and l.attempts < p.max_attempts
      and not exists (select from do_not_call d where d.number = l.number)
      and not exists (select from live_attempts v where v.number = l.number)
      and not exists (select from callee_days c where c.number = l.number and c.day = ($2::timestamptz at time zone p.zone)::date
                                                  and c.attempts >= p.daily_cap_per_number)
    order by l.priority desc, l.next_at, l.id
    limit 1
    for no key update of l skip locked
)
update leads l set next_at = $3 from next where l.id = next.id
returning l.id, l.number, l.name, l.fields, next.due_at
"""


async def hold_for_preview(conn: Connection, *, project_id: UUID, now: datetime, until: datetime) -> PreviewLead | None:
    """The next lead of a running project, kept from everybody else until `until`; None when there is none that may be called now.

    To dial it: `claim_number(..., lead_id=...)`, which asks all gates again.
    """
    row = await conn.fetchrow(_HOLD, project_id, now, until)
    if row is None:
        return None
    return PreviewLead(
        lead_id=row["id"],
        number=row["number"],
        name=row["name"],
        fields=row["fields"],
        due_at=row["due_at"],
        held_until=until,
    )


_GIVE_BACK = "update leads set next_at = coalesce($3::timestamptz, '-infinity') where id = $1 and next_at = $2 and state in ('new', 'retry')"


async def give_back(conn: Connection, lead: PreviewLead) -> None:
    """Put a lead that was shown and not dialled back to its place. Does nothing when it has moved on since."""
    await conn.execute(_GIVE_BACK, lead.lead_id, lead.held_until, lead.due_at)

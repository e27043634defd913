"""Leads: what the API asks beside campaigns.leads."""

from __future__ import annotations

from uuid import UUID

from dialer.db.sql import Connection

AGENT_KNOWS = """
select exists (select from attempts where lead_id = $2 and agent_id = $1)
    or exists (select from leads where id = $2 and callback_agent_id = $1)
"""


async def agent_knows(conn: Connection, agent_id: UUID, lead_id: int) -> bool:
    """Whether an agent has talked with a lead, or owes them a call."""
    return bool(await conn.fetchval(AGENT_KNOWS, agent_id, lead_id))

"""What an agent has before them: the live state from the engine, the lead and the script from the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from campaigns import leads as campaign_leads
from campaigns.projects import load_project
from dialer.domain.pauses import REASONS
from dialer.web.call import Call
from dialer.web.desk.types import Desk, PauseChoice
from dialer.web.errors import DATABASE_AWAY
from dialer.web.leads.routes import shown_lead
from dialer.web.live.view import shown_call
from dialer.web.projects.settings import dispositions_of
from dialer.web.projects.types import Disposition

DATABASE_PATIENCE_S = 2.0
LIVE = (
    "wanted",
    "reason",
    "since",
    "project_id",
    "attempt_id",
    "lead_id",
    "call_state",
    "wrap_up_until",
    "preview_until",
    "leaves_at",
    "leaves_to",
    "leaves_for",
    "preview_at_limit",
    "preview_skips_left",
)


async def desk_of(call: Call, agent_id: UUID) -> Desk:
    """The desk. While the database is away, what the engine knows."""
    state = call.deps.feed.snapshot()["state"]
    agent: Mapping[str, Any] = state.get("agent", {}).get(str(agent_id)) or {}
    await call.parts.masks.refresh()
    lead, script, dispositions = None, None, list[Disposition]()
    try:
        async with asyncio.timeout(DATABASE_PATIENCE_S), call.connection() as conn:
            if agent.get("project_id"):
                project = await load_project(conn, UUID(str(agent["project_id"])))
                script = project.script
                dispositions = dispositions_of(project).dispositions
                if agent.get("lead_id"):
                    lead = shown_lead(
                        await campaign_leads.get_lead(conn, int(agent["lead_id"])), masked=project.mask_numbers
                    )
    except DATABASE_AWAY:
        pass  # what the engine knows is enough to go on talking
    in_hand = state.get("call", {}).get(str(agent.get("attempt_id")))
    return Desk.model_validate({
        "agent_id": agent_id, "state": agent.get("state", "logged_out"), **{name: agent.get(name) for name in LIVE},
        "call": shown_call(in_hand, call.parts.masks) if in_hand else None, "lead": lead, "script": script, "dispositions": dispositions,
        "pause_reasons": [PauseChoice.model_validate(one) for one in REASONS],
    })  # fmt: skip

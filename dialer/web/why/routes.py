"""Why is this not being dialled? The engine answers, gate by gate."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any
from uuid import UUID

from campaigns.masking import mask
from dialer.domain.errors import Unavailable
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.deps import Explain, Explained
from dialer.web.leads.routes import LeadId, lead_for
from dialer.web.masking import scrubbed_fields, without_numbers
from dialer.web.projects.routes import there
from dialer.web.roles import EXPLAIN_READERS, LEAD_READERS, LEADERS
from dialer.web.why.types import Pace, PaceDecision, Why

ENGINE_AWAY = Unavailable("engine_away", "The engine cannot be asked: try again when it is back.")


@operation("GET", "/projects/{project_id}/why", roles=EXPLAIN_READERS, summary="Why a project does not dial (more)")
async def explain_project(call: Call, project_id: UUID) -> Why:
    """What limits it now."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
    answer = await _why(_engine(call).explain_project(project_id))
    return Why.model_validate(without_numbers(answer.model_dump())) if project.mask_numbers else answer


@operation("GET", "/projects/{project_id}/pace", roles=EXPLAIN_READERS, summary="How a project is paced, and why")
async def explain_pace(call: Call, project_id: UUID) -> Pace:
    """What limited it in the last hour, and the newest decisions with what they were made of."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
    answer = _engine(call).explain_pace(project_id)
    known = await answer if isinstance(answer, Awaitable) else answer
    pace = Pace(
        why=str(known.get("why", "")),
        sentence=str(known.get("sentence", "")),
        limits=known.get("limits", {}),
        recent=[_decision(one) for one in known.get("recent", [])],
    )
    return Pace.model_validate(without_numbers(pace.model_dump())) if project.mask_numbers else pace


@operation("GET", "/agents/{agent_id}/why", roles=EXPLAIN_READERS | LEADERS, summary="Why an agent gets no call")
async def explain_agent(call: Call, agent_id: UUID) -> Why:
    """What keeps calls from this agent now."""
    answer = await _why(_engine(call).explain_agent(agent_id))
    return Why.model_validate(without_numbers(answer.model_dump()))  # of whichever project


@operation("GET", "/leads/{lead_id}/why", roles=LEAD_READERS, summary="Why a lead is not being dialled")
async def explain_lead(call: Call, lead_id: LeadId) -> Why:
    """The gates it has to pass, and which one is shut."""
    async with call.connection() as conn:
        lead = await lead_for(call, conn, lead_id)
        number = await conn.fetchval("select number from leads where id = $1", lead.id)
    answer = await _why(_engine(call).explain_lead(lead_id))
    if lead.number != mask(number):
        return answer
    return Why.model_validate(scrubbed_fields(answer.model_dump(), number, masked=True))


def _decision(one: Mapping[str, Any]) -> PaceDecision:
    named = {key: value for key, value in one.items() if key in PaceDecision.model_fields}
    return PaceDecision(**named, because={key: value for key, value in one.items() if key not in named})


def _engine(call: Call) -> Explain:
    if call.deps.explain is None:
        raise ENGINE_AWAY
    return call.deps.explain


async def _why(answer: Explained | Awaitable[Explained]) -> Why:
    known = await answer if isinstance(answer, Awaitable) else answer
    rest = {key: value for key, value in known.items() if key not in {"dialling", "why", "sentence"}}
    return Why(
        dialling=known.get("dialling"),
        why=str(known.get("why", "")),
        sentence=str(known.get("sentence", "")),
        detail=rest,
    )

"""Why is this not being dialled? The engine answers, gate by gate."""

from __future__ import annotations

from collections.abc import Awaitable
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
from dialer.web.why.types import Why

ENGINE_AWAY = Unavailable("engine_away", "The engine cannot be asked: try again when it is back.")


@operation("GET", "/projects/{project_id}/why", roles=EXPLAIN_READERS, summary="Why a project does not dial (more)")
async def explain_project(call: Call, project_id: UUID) -> Why:
    """What limits it now."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
    answer = await _why(_engine(call).explain_project(project_id))
    return Why.model_validate(without_numbers(answer.model_dump())) if project.mask_numbers else answer


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

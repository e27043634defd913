"""Gate by gate: a lead, a number or a whole list before every gate, now or at a past moment. Read from the database: the engine may be away."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns import rule_packs
from campaigns.errors import BadInput
from campaigns.explaining.counts import DIALABLE, dry_run, explain_counts, spoken
from campaigns.explaining.number import Question, explain_number
from campaigns.explaining.results import Explanation
from campaigns.gates import Gate as ProjectGate
from campaigns.gates import decide
from campaigns.masking import mask
from campaigns.numbers import normalise
from campaigns.projects import Project
from campaigns.rules.ruleset import RuleSet, combine
from campaigns.sql import OneConnection
from campaigns.states import ProjectState
from dialer.db import audit_trail
from dialer.db.abandonment import shares_of
from dialer.domain.errors import BadRequest, WaihuError
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.leads.routes import LeadId, lead_for
from dialer.web.masking import scrubbed_fields, without_numbers
from dialer.web.projects.routes import there
from dialer.web.roles import EXPLAIN_READERS, LEAD_READERS, PLANNERS
from dialer.web.rules.types import AskDryRun, Change, DryRun
from dialer.web.why.types import AskNumber, AtQuery, Gate, Held, ListWhy, NumberWhy

_A_WHOLE_LIST_S = 120.0  # every lead is read


@operation("GET", "/leads/{lead_id}/gates", roles=LEAD_READERS, summary="A lead before every gate, now or then")
async def explain_lead_gates(call: Call, lead_id: LeadId, query: AtQuery) -> NumberWhy:
    """Every gate in order, with its rule and who demands it; what cannot be known of a past moment is said to be unknown."""
    async with call.connection() as conn:
        lead = await lead_for(call, conn, lead_id)
        number = await conn.fetchval("select number from leads where id = $1", lead.id)
        question = await _question(call, conn, lead.project_id, query, lead_id=lead_id)
        told = _told(await explain_number(conn, question))
    masked = lead.number == mask(number)
    return NumberWhy.model_validate(scrubbed_fields(told, number, masked=masked)) if masked else NumberWhy(**told)


@operation(
    "POST", "/projects/{project_id}/gates", roles=LEAD_READERS, summary="A number before every gate of a project"
)
async def explain_number_gates(call: Call, project_id: UUID, body: AskNumber) -> NumberWhy:
    """As for a lead; the number need not be one."""
    try:
        number = normalise(body.number, call.deps.settings.region).e164
    except BadInput as error:
        raise BadRequest(error.error_id, str(error)) from None
    async with call.connection() as conn:
        question = await _question(call, conn, project_id, body, number=number)
        told = _told(await explain_number(conn, question))
    if not question.project.mask_numbers:
        return NumberWhy(**told)
    return NumberWhy.model_validate(scrubbed_fields(told, number, masked=True))


@operation(
    "GET",
    "/projects/{project_id}/held-back",
    roles=EXPLAIN_READERS,
    summary="A project's list by what holds each lead back",
    timeout_s=_A_WHOLE_LIST_S,
)
async def explain_list(call: Call, project_id: UUID) -> ListWhy:
    """Reads every lead: seconds for some hundred thousand. With what limited the pacer last."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
        held = await explain_counts(conn, project, call.now)
    told = ListWhy(
        at=call.now,
        sentence=spoken(held),
        leads=sum(one.leads for one in held),
        held=[Held(reason=one.reason, leads=one.leads, until=one.until) for one in held],
        pacing=await _limited_by(call, project_id),
    )
    return ListWhy.model_validate(without_numbers(told.model_dump())) if project.mask_numbers else told


@operation(
    "POST",
    "/projects/{project_id}/rule-packs/dry-run",
    roles=PLANNERS,
    summary="What other rule packs would change",
    timeout_s=_A_WHOLE_LIST_S,
)
async def try_packs(call: Call, project_id: UUID, body: AskDryRun) -> DryRun:
    """As if these packs, and no others, were in force, now or at a moment to come. Nothing is changed."""
    at = body.at or call.now
    async with call.connection() as conn:
        project = await there(conn, project_id)
        refs = [rule_packs.PackRef(pack=one.pack, version=one.version) for one in body.packs]
        rules = combine([(await rule_packs.find_pack(conn, ref)).pack for ref in refs])
        changes = await dry_run(conn, project, rules, at)
    return DryRun(
        at=at,
        shut=_shut_by(project, rules, at),
        newly_refused=sum(one.leads for one in changes if one.before == DIALABLE),
        newly_allowed=sum(one.leads for one in changes if one.after == DIALABLE),
        changes=[Change(before=one.before, after=one.after, leads=one.leads) for one in changes],
    )


def _shut_by(project: Project, rules: RuleSet, at: datetime) -> str | None:
    verdict = decide(replace(project, rules=rules), at)
    of_rules = verdict.rule is not None or verdict.gate is ProjectGate.RULE_PACK
    return verdict.reason if of_rules else None


async def _question(
    call: Call,
    conn: OneConnection,
    project_id: UUID,
    query: AtQuery | AskNumber,
    *,
    lead_id: int | None = None,
    number: str | None = None,
) -> Question:
    project = await there(conn, project_id)
    at = query.at
    if at is None or at >= call.now:
        shares = await shares_of(conn, project, call.now)
        return Question(project=project, now=call.now, lead_id=lead_id, number=number, shares=shares)
    then, changed = await audit_trail.project_at(conn, project_id, at)
    state = None if then is None else ProjectState(then)
    return Question(
        project=project, now=call.now, lead_id=lead_id, number=number, at=at, state_then=state, changed_since=changed
    )


def _told(found: Explanation) -> dict[str, Any]:
    first = found.first
    return {
        "at": found.at,
        "lead_id": found.lead_id,
        "why": first.gate.value if first else "open",
        "sentence": first.reason if first else "No gate objects.",
        "gates": [
            {name: getattr(gate, name) for name in Gate.model_fields if name != "gate"} | {"gate": gate.gate.value}
            for gate in found.gates
        ],
    }


async def _limited_by(call: Call, project_id: UUID) -> str | None:
    if call.deps.explain is None:
        return None
    with suppress(WaihuError):
        answer = call.deps.explain.explain_project(project_id)
        known = await answer if isinstance(answer, Awaitable) else answer
        return f"{known.get('why', '')}: {known.get('sentence', '')}"
    return None

"""What belongs to a project: its agents, caller numbers, dispositions, retry rules. Each list is read and written whole."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from campaigns import dispositions as campaign_dispositions
from campaigns import projects as campaign_projects
from campaigns import retry as campaign_retry
from campaigns.caller_numbers import pool as campaign_caller_numbers
from campaigns.projects import Project
from campaigns.states import Effect, Meaning
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project
from dialer.web.fields import seconds
from dialer.web.projects.routes import only_own, there
from dialer.web.projects.types import Agents, CallerNumbers, Disposition, Dispositions, RetryRule, RetryRules
from dialer.web.roles import PLANNERS, PROJECT_READERS, STAFF, STAFF_READERS, TELEPHONY_READERS


@operation("GET", "/projects/{project_id}/agents", roles=STAFF_READERS, summary="Who works on a project")
async def get_agents(call: Call, project_id: UUID) -> Agents:
    """Their ids."""
    async with call.connection() as conn:
        return _agents(await there(conn, project_id))


@operation("PUT", "/projects/{project_id}/agents", roles=STAFF | PLANNERS, summary="Say who works on a project")
async def put_agents(call: Call, project_id: UUID, body: Agents) -> Agents:
    """These agents and no others."""
    async with call.transaction() as conn:
        await there(conn, project_id)
        await campaign_projects.assign_agents(conn, project_id, frozenset(body.agent_ids))
        await call.audit(conn, "project_agents_set", "project", project_id, agent_ids=body.agent_ids)
        kept = _agents(await there(conn, project_id))
    await reload_project(call, project_id)
    return kept


@operation(
    "GET",
    "/projects/{project_id}/caller-numbers",
    roles=TELEPHONY_READERS,
    summary="Which caller numbers a project may show",
)
async def get_caller_numbers(call: Call, project_id: UUID) -> CallerNumbers:
    """Their ids."""
    async with call.connection() as conn:
        return _caller_numbers(await there(conn, project_id))


@operation(
    "PUT",
    "/projects/{project_id}/caller-numbers",
    roles=TELEPHONY_READERS,
    summary="Say which caller numbers a project may show",
)
async def put_caller_numbers(call: Call, project_id: UUID, body: CallerNumbers) -> CallerNumbers:
    """These and no others; a number that is not on this list cannot be sent."""
    async with call.transaction() as conn:
        await there(conn, project_id)
        await campaign_caller_numbers.allow(conn, project_id, body.caller_number_ids)
        await call.audit(
            conn, "project_caller_numbers_set", "project", project_id, caller_number_ids=body.caller_number_ids
        )
        kept = _caller_numbers(await there(conn, project_id))
    await reload_project(call, project_id)
    return kept


@operation(
    "GET", "/projects/{project_id}/dispositions", roles=PROJECT_READERS, summary="The results an agent may choose"
)
async def get_dispositions(call: Call, project_id: UUID) -> Dispositions:
    """In the order they are shown."""
    async with call.connection() as conn:
        return dispositions_of(await there(conn, project_id, only_own(call)))


@operation(
    "PUT", "/projects/{project_id}/dispositions", roles=PLANNERS, summary="Say which results an agent may choose"
)
async def put_dispositions(call: Call, project_id: UUID, body: Dispositions) -> Dispositions:
    """These and no others; what was chosen before stays as it was."""
    wanted = [
        campaign_dispositions.Disposition(
            code=one.code, label_zh=one.label_zh, label_en=one.label_en, effect=Effect(one.effect),
            retry_after=None if one.retry_after_s is None else timedelta(seconds=one.retry_after_s),
            growth_percent=one.growth_percent, meaning=None if one.meaning is None else Meaning(one.meaning),
        )
        for one in body.dispositions
    ]  # fmt: skip
    async with call.transaction() as conn:
        await there(conn, project_id)
        await campaign_dispositions.save(conn, project_id, wanted)
        await call.audit(conn, "project_dispositions_set", "project", project_id, codes=[one.code for one in wanted])
        kept = dispositions_of(await there(conn, project_id))
    await reload_project(call, project_id)
    return kept


@operation(
    "GET",
    "/projects/{project_id}/retry-rules",
    roles=PROJECT_READERS,
    summary="What happens to a lead after an outcome",
)
async def get_retry_rules(call: Call, project_id: UUID) -> RetryRules:
    """An outcome without a rule is final."""
    async with call.connection() as conn:
        return _retry_rules(await there(conn, project_id, only_own(call)))


@operation(
    "PUT", "/projects/{project_id}/retry-rules", roles=PLANNERS, summary="Say what happens to a lead after an outcome"
)
async def put_retry_rules(call: Call, project_id: UUID, body: RetryRules) -> RetryRules:
    """These and no others."""
    wanted = [
        campaign_retry.RetryRule(
            outcome=one.outcome,
            retry_after=timedelta(seconds=one.retry_after_s),
            max_times=one.max_times,
            counts=one.counts,
            growth_percent=one.growth_percent,
        )
        for one in body.rules
    ]
    async with call.transaction() as conn:
        await there(conn, project_id)
        await campaign_retry.save(conn, project_id, wanted)
        await call.audit(
            conn, "project_retry_rules_set", "project", project_id, outcomes=[one.outcome for one in wanted]
        )
        kept = _retry_rules(await there(conn, project_id))
    await reload_project(call, project_id)
    return kept


def dispositions_of(project: Project) -> Dispositions:
    """A project's results, in the order they are shown."""
    return Dispositions(dispositions=[
        Disposition.model_validate({
            "code": one.code, "label_zh": one.label_zh, "label_en": one.label_en, "effect": one.effect.value, "meaning": None if one.meaning is None else one.meaning.value,
            "retry_after_s": seconds(one.retry_after),
            "growth_percent": one.growth_percent,
        }) for one in project.dispositions
    ])  # fmt: skip


def _retry_rules(project: Project) -> RetryRules:
    return RetryRules(rules=[
        RetryRule(
            outcome=one.outcome, retry_after_s=seconds(one.retry_after) or 0, max_times=one.max_times, counts=one.counts, growth_percent=one.growth_percent
        )
        for one in project.retry_rules
    ])  # fmt: skip


def _agents(project: Project) -> Agents:
    return Agents(agent_ids=sorted(project.agent_ids))


def _caller_numbers(project: Project) -> CallerNumbers:
    return CallerNumbers(caller_number_ids=sorted(one.id for one in project.caller_numbers))

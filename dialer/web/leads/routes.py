"""Leads: who is to be called, and how far we are with them."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr

from campaigns import leads as campaign_leads
from campaigns import projects as campaign_projects
from campaigns.locality.place import block_of
from campaigns.locality.tables import is_unknown
from campaigns.numbers import normalise
from dialer.db import lead_views
from dialer.db.sql import Connection
from dialer.domain.errors import NotFound, Unavailable
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import BigId, Page, after_cursor, big_id, page_of
from dialer.web.imports.apart import know_apart
from dialer.web.imports.job import Job
from dialer.web.leads.types import Lead, LeadCounts, LeadQuery, NewLead
from dialer.web.masking import scrubbed, scrubbed_fields, shown
from dialer.web.projects.routes import there
from dialer.web.roles import IMPORTERS, LEAD_READERS

LeadId = Annotated[BigId, Field(description="A lead's id.")]


@operation("GET", "/projects/{project_id}/leads", roles=LEAD_READERS, summary="List a project's leads")
async def list_leads(call: Call, project_id: UUID, query: LeadQuery) -> Page[Lead]:
    """In the order they came."""
    after = after_cursor(query.cursor, big_id)
    async with call.connection() as conn:
        project = await there(conn, project_id)
        rows = await campaign_leads.list_leads(
            conn, project_id, state=query.state, after=after[0] if after else 0, limit=query.limit + 1
        )
    return page_of(rows, query.limit, lambda row: shown_lead(row, masked=project.mask_numbers), lambda row: [row.id])


@operation("GET", "/projects/{project_id}/lead-counts", roles=LEAD_READERS, summary="How far a project's list is")
async def count_leads(call: Call, project_id: UUID) -> LeadCounts:
    """Leads by state, and how many could be dialled now."""
    async with call.connection() as conn:
        await there(conn, project_id)
        return LeadCounts(counts=await campaign_projects.lead_counts(conn, project_id, call.now))


@operation("POST", "/projects/{project_id}/leads", roles=IMPORTERS, summary="Add a lead by hand", status=201)
async def add_lead(call: Call, project_id: UUID, body: NewLead) -> Lead:
    """Many at once: import them."""
    await _know_place(call, project_id, body.number)
    async with call.transaction() as conn:
        project = await there(conn, project_id)
        lead_id = await campaign_leads.add_lead(
            conn, project_id=project_id, number=body.number, name=body.name, fields=body.fields, priority=body.priority,
            region=call.deps.settings.region,
        )  # fmt: skip
        await call.audit(conn, "lead_added", "lead", lead_id, project_id=project_id)
        return shown_lead(await campaign_leads.get_lead(conn, lead_id), masked=project.mask_numbers)


async def _know_place(call: Call, project_id: UUID, number: str) -> None:
    """So that the lead has a region and a zone. Without them it is added all the same; rules that ask for them refuse it."""
    block = block_of(normalise(number, call.deps.settings.region).e164)
    async with call.connection() as conn:
        if not await is_unknown(conn, block):
            return
    job = Job(
        what="place", block=block, database_url=SecretStr(call.deps.database_url), project_id=project_id, path=call.deps.upload_dir,
        reject_dir=call.deps.upload_dir, file_name="", user_id=call.identity.user_id,
    )  # fmt: skip
    with suppress(Unavailable):
        await know_apart(job)


@operation("GET", "/leads/{lead_id}", roles=LEAD_READERS | {Role.AGENT}, summary="A lead")
async def get_lead(call: Call, lead_id: LeadId) -> Lead:
    """One lead. An agent sees those they have talked with, owe a call, or look at now."""
    async with call.connection() as conn:
        return await lead_for(call, conn, lead_id)


async def lead_for(call: Call, conn: Connection, lead_id: int) -> Lead:
    """The lead, as this caller may see it. Errors: 404 `lead_unknown`, also for what they may not see."""
    lead = await campaign_leads.get_lead(conn, lead_id)
    me = call.identity
    if me.role == Role.AGENT and not (
        me.agent_id
        and (_before(call, me.agent_id, lead_id) or await lead_views.agent_knows(conn, me.agent_id, lead_id))
    ):
        raise NotFound("lead_unknown", "There is no such lead.")
    project = await there(conn, lead.project_id)
    return shown_lead(lead, masked=project.mask_numbers)


def _before(call: Call, agent_id: UUID, lead_id: int) -> bool:
    """Whether the agent has the lead on the screen now."""
    agent = call.deps.feed.snapshot()["state"].get("agent", {}).get(str(agent_id)) or {}
    return bool(agent.get("lead_id") == lead_id)


def shown_lead(lead: campaign_leads.Lead, *, masked: bool) -> Lead:
    """A lead without its number, in any of its texts, where the project masks numbers."""
    values = {name: getattr(lead, name) for name in Lead.model_fields}
    for number in (lead.number, *lead.other_numbers):
        for text in ("name", "reference"):
            values[text] = values[text] and scrubbed(values[text], number, masked=masked)
        values["fields"] = scrubbed_fields(values["fields"], number, masked=masked)
    values["number"] = shown(lead.number, masked=masked)
    values["other_numbers"] = [shown(number, masked=masked) for number in lead.other_numbers]
    return Lead.model_validate(values)

"""Calls that were made or are being made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dialer.db import history
from dialer.db.history import CallRow
from dialer.domain.errors import NotFound
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.calls.types import CallHistory, CallOut, CallQuery, Happening
from dialer.web.fields import Page, PageQuery, after_cursor, page_of
from dialer.web.leads.routes import LeadId, lead_for
from dialer.web.masking import scrubbed, shown
from dialer.web.projects.routes import only_own
from dialer.web.roles import CALL_READERS, LEAD_READERS

STEPS = ("created", "sent", "ringing", "answered", "bridged", "ended", "wrapped")


@operation("GET", "/calls", roles=CALL_READERS, summary="List calls")
async def list_calls(call: Call, query: CallQuery) -> Page[CallOut]:
    """Newest first. An agent sees their own."""
    own = only_own(call)
    before = after_cursor(query.cursor, UUID)
    if own and query.agent_id not in {None, own}:
        return Page[CallOut](items=[], next=None)
    async with call.connection() as conn:
        rows = await history.calls(
            conn, before=before[0] if before else None, project_id=query.project_id, agent_id=own or query.agent_id,
            lead_id=query.lead_id, outcome=query.outcome, since=query.since, until=query.until, limit=query.limit + 1,
        )  # fmt: skip
    return page_of(rows, query.limit, _shown, lambda row: [row.id])


@operation("GET", "/calls/{call_id}", roles=CALL_READERS, summary="A call with its history")
async def get_call(call: Call, call_id: UUID) -> CallHistory:
    """What happened in it, step by step."""
    own = only_own(call)
    async with call.connection() as conn:
        row = await history.call(conn, call_id)
    if row is None or (own and row.agent_id != own):
        raise NotFound("call_unknown", "There is no such call.")
    happened = [Happening(at=at, what=step) for step in STEPS if (at := getattr(row, f"{step}_at")) is not None]
    return CallHistory(**_values(row), history=sorted(happened, key=lambda one: one.at))


@operation("GET", "/leads/{lead_id}/calls", roles=LEAD_READERS | {Role.AGENT}, summary="A lead's calls")
async def list_calls_of_lead(call: Call, lead_id: LeadId, query: PageQuery) -> Page[CallOut]:
    """Newest first."""
    before = after_cursor(query.cursor, UUID)
    async with call.connection() as conn:
        await lead_for(call, conn, lead_id)
        rows = await history.calls(
            conn, before=before[0] if before else None, project_id=None, agent_id=None, lead_id=lead_id, outcome=None, since=None,
            until=None, limit=query.limit + 1,
        )  # fmt: skip
    return page_of(rows, query.limit, _shown, lambda row: [row.id])


def _shown(row: CallRow) -> CallOut:
    return CallOut(**_values(row))


def _values(row: CallRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in CallOut.model_fields}
    values["number"] = shown(row.number, masked=row.mask_numbers)
    values["note"] = None if row.note is None else scrubbed(row.note, row.number, masked=row.mask_numbers)
    values["disposition"] = row.disposition
    return values

"""Caller numbers: the allow-list of what may be shown to those who are called."""

from __future__ import annotations

from uuid import UUID

from campaigns import caller_numbers
from campaigns.states import CallerNumberState
from dialer.db import lines
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.caller_numbers.types import (
    CallerNumber,
    CallerNumberChange,
    CallerNumberLimits,
    CallerNumberQuery,
    NewCallerNumber,
)
from dialer.web.commands import reload_project
from dialer.web.fields import Page, after_cursor, page_of, plain_text
from dialer.web.roles import TELEPHONY, TELEPHONY_READERS


@operation("GET", "/caller-numbers", roles=TELEPHONY_READERS, summary="List caller numbers")
async def list_caller_numbers(call: Call, query: CallerNumberQuery) -> Page[CallerNumber]:
    """By number."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await lines.caller_numbers(
            conn, after=after[0] if after else None, trunk_id=query.trunk_id, state=query.state, limit=query.limit + 1
        )
    return page_of(rows, query.limit, CallerNumber.model_validate, lambda row: [row.number])


@operation("POST", "/caller-numbers", roles=TELEPHONY, summary="List a new caller number", status=201)
async def create_caller_number(call: Call, body: NewCallerNumber) -> CallerNumber:
    """A project may show it once it is on the project's own list."""
    async with call.transaction() as conn:
        row = await caller_numbers.add(conn, body.number, body.trunk_id, region=call.deps.settings.region)
        await call.audit(
            conn, "caller_number_created", "caller_number", row.id, number=row.number, trunk_id=row.trunk_id
        )
    return CallerNumber.model_validate(row)


@operation(
    "PATCH", "/caller-numbers/{caller_number_id}", roles=TELEPHONY, summary="Rest, retire or use a caller number again"
)
async def change_caller_number(call: Call, caller_number_id: UUID, body: CallerNumberChange) -> CallerNumber:
    """With the reason; it takes effect with the next call."""
    async with call.transaction() as conn:
        row = await caller_numbers.set_state(conn, caller_number_id, CallerNumberState(body.state), body.why)
        await call.audit(
            conn, "caller_number_changed", "caller_number", caller_number_id, state=body.state, why=body.why
        )
        projects = await lines.projects_of_caller_number(conn, caller_number_id)
    for project_id in projects:
        await reload_project(call, project_id)
    return CallerNumber.model_validate(row)


@operation(
    "PUT", "/caller-numbers/{caller_number_id}/limits", roles=TELEPHONY, summary="Say what a caller number may carry"
)
async def put_caller_number_limits(call: Call, caller_number_id: UUID, body: CallerNumberLimits) -> CallerNumber:
    """Calls at once, new calls a second and in any hour; calls that are under way go on."""
    wanted = body.model_dump()
    async with call.transaction() as conn:
        row = await caller_numbers.set_limits(conn, caller_number_id, **wanted)
        await call.audit(conn, "caller_number_limited", "caller_number", caller_number_id, **wanted)
        projects = await lines.projects_of_caller_number(conn, caller_number_id)
    for project_id in projects:
        await reload_project(call, project_id)
    return CallerNumber.model_validate(row)

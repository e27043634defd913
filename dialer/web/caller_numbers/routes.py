"""Caller numbers: the allow-list of what may be shown to those who are called. Every change is audited and told to the engine before it is answered."""

from __future__ import annotations

from uuid import UUID

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.locality.locating import locate
from campaigns.states import CallerNumberState
from dialer.db import lines
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.caller_numbers.home import home_of
from dialer.web.caller_numbers.types import (
    CallerNumber,
    CallerNumberChange,
    CallerNumberFacts,
    CallerNumberLimits,
    CallerNumberQuery,
    NewCallerNumber,
    shown,
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
    return page_of(rows, query.limit, shown, lambda row: [row.number])


@operation("POST", "/caller-numbers", roles=TELEPHONY, summary="List a new caller number", status=201)
async def create_caller_number(call: Call, body: NewCallerNumber) -> CallerNumber:
    """A project may show it once it is on the project's own list. Where it is at home the tables say, unless the body does."""
    province, city = body.province, body.city
    if province is None:
        async with call.connection() as conn:
            place = await locate(conn, body.number)
        if not place.province:
            place = await home_of(body.number)
        province, city = place.province, place.city if city is None else city
    async with call.transaction() as conn:
        made = await caller_numbers.add(
            conn, body.number, body.trunk_id, region=call.deps.settings.region, province=province, city=city or ""
        )
        made = await caller_numbers.set_facts(conn, made.id, owner=body.owner, purposes=body.purposes)
        await call.audit(
            conn, "caller_number_created", "caller_number", made.id, number=made.number, trunk_id=made.trunk_id, owner=made.owner,
            purposes=sorted(made.purposes),
        )  # fmt: skip
    return shown(made)


@operation(
    "PATCH", "/caller-numbers/{caller_number_id}", roles=TELEPHONY, summary="Rest, retire or use a caller number again"
)
async def change_caller_number(call: Call, caller_number_id: UUID, body: CallerNumberChange) -> CallerNumber:
    """With the reason. When this is answered no call goes out with a number that rests or is retired; calls that are under way go on."""
    async with call.transaction() as conn:
        row = await caller_numbers.set_state(
            conn, caller_number_id, CallerNumberState(body.state), body.why, rests_until=body.rests_until, now=call.now
        )
        await call.audit(
            conn, "caller_number_changed", "caller_number", caller_number_id, state=body.state, why=body.why, rests_until=body.rests_until
        )  # fmt: skip
    await told(call, caller_number_id)
    return shown(row)


@operation(
    "PATCH", "/caller-numbers/{caller_number_id}/facts", roles=TELEPHONY, summary="Say what is known of a caller number"
)
async def change_caller_number_facts(call: Call, caller_number_id: UUID, body: CallerNumberFacts) -> CallerNumber:
    """Whose it is, what it may be shown for, where it is at home."""
    wanted = body.model_dump(exclude_none=True)
    async with call.transaction() as conn:
        row = await caller_numbers.set_facts(conn, caller_number_id, **wanted)
        await call.audit(conn, "caller_number_described", "caller_number", caller_number_id, **wanted)
    await told(call, caller_number_id)
    return shown(row)


@operation(
    "PUT", "/caller-numbers/{caller_number_id}/limits", roles=TELEPHONY, summary="Say what a caller number may carry"
)
async def put_caller_number_limits(call: Call, caller_number_id: UUID, body: CallerNumberLimits) -> CallerNumber:
    """Calls at once, new calls a second, in any hour and in a day, and when it cools down; calls that are under way go on."""
    wanted = body.model_dump()
    async with call.transaction() as conn:
        row = await caller_numbers.set_limits(conn, caller_number_id, **wanted, now=call.now)
        await call.audit(conn, "caller_number_limited", "caller_number", caller_number_id, **wanted)
    await told(call, caller_number_id)
    return shown(row)


async def told(call: Call, caller_number_id: UUID) -> None:
    """Have the engine read the projects that may show the number again."""
    async with call.connection() as conn:
        projects = await lines.projects_of_caller_number(conn, caller_number_id)
    for project_id in projects:
        await reload_project(call, project_id)

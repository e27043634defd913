"""Health of caller numbers: how each does against the others, and complaints about them."""

from __future__ import annotations

import asyncio
from uuid import UUID

from campaigns.caller_numbers import watching
from campaigns.caller_numbers.health import judged
from dialer.db import history
from dialer.domain.errors import NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.caller_numbers.types import Drift, Health, NewComplaint
from dialer.web.commands import reload_project
from dialer.web.roles import CALL_READERS, LEADERS, TELEPHONY, TELEPHONY_READERS

_COMPLAINERS = TELEPHONY_READERS | LEADERS


@operation(
    "GET",
    "/caller-numbers/{caller_number_id}/health",
    roles=TELEPHONY_READERS,
    summary="How a caller number does against the others of its trunk",
)
async def get_health(call: Call, caller_number_id: UUID) -> Health:
    """By the calls of the last 48 hours, since it last rested."""
    async with call.connection() as conn:
        trunk_id = await watching.trunk_of(conn, caller_number_id)
        if trunk_id is None:
            raise NotFound("caller_number_unknown", "There is no such caller number.")
        pools = await watching.pools(conn, call.now, trunk_id=trunk_id)
    numbers = {one.id: one for pool in pools for one in pool.numbers}
    one = numbers.get(caller_number_id)
    if one is None:
        raise NotFound("caller_number_retired", "This number is retired: nobody watches it.")
    records = pools[0].records
    drifts = (await asyncio.to_thread(judged, records))[one.number]
    tallies = records[one.number].by_project.values()
    return Health(
        caller_number_id=one.id, calls=records[one.number].calls, answered=sum(tally.answered for tally in tallies), short=sum(tally.short for tally in tallies),
        complaints=records[one.number].complaints, drifts=[Drift.model_validate(drift) for drift in drifts], alarm=one.alarm,
    )  # fmt: skip


@operation(
    "POST",
    "/caller-numbers/{caller_number_id}/complaints",
    roles=TELEPHONY,
    summary="Write down a complaint about a caller number",
)
async def add_complaint(call: Call, caller_number_id: UUID, body: NewComplaint) -> None:
    """Of a carrier, a regulator or a customer who names the number and no call."""
    async with call.transaction() as conn:
        await watching.add_complaint(
            conn, caller_number_id, source=body.source, note=body.note, user_id=call.identity.user_id, now=call.now
        )
        await call.audit(
            conn, "caller_number_complaint", "caller_number", caller_number_id, source=body.source, note=body.note
        )


@operation(
    "POST",
    "/calls/{call_id}/complaint",
    roles=_COMPLAINERS & CALL_READERS,
    summary="Write down a complaint about a call",
)
async def add_complaint_of_call(call: Call, call_id: UUID, body: NewComplaint) -> None:
    """It counts for the number that the call showed; an agent's result that means a complaint does so by itself."""
    async with call.transaction() as conn:
        await watching.add_complaint_of_call(
            conn, call_id, source=body.source, note=body.note, user_id=call.identity.user_id, now=call.now
        )
        await call.audit(conn, "call_complaint", "call", call_id, source=body.source, note=body.note)
        found = await history.call(conn, call_id)
    if found is not None:
        await reload_project(call, found.project_id)  # its stop rules count it

"""The do-not-call list. An entry holds for every project and node from the moment it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from uuid import UUID

from campaigns import do_not_call as campaign_do_not_call
from campaigns.errors import BadInput
from campaigns.masking import mask
from campaigns.numbers import normalise
from dialer.db import blocked_numbers
from dialer.db.blocked_numbers import Blocked
from dialer.domain.errors import BadRequest, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.do_not_call.types import (
    Added,
    Area,
    Areas,
    BringBack,
    BroughtBack,
    Entry,
    Listed,
    Lists,
    LoadedList,
    NewArea,
    NewEntries,
    OneArea,
    OneNumber,
    ReachIn,
    RemoveEntry,
    Standing,
    WhomIn,
)
from dialer.web.fields import Page, PageQuery, after_cursor, cursor_of, moment
from dialer.web.masking import scrubbed
from dialer.web.projects.routes import there
from dialer.web.roles import DO_NOT_CALL, IMPORTERS, PLANNERS


@operation("GET", "/do-not-call", roles=DO_NOT_CALL, summary="List who must not be called")
async def list_entries(call: Call, query: PageQuery) -> Page[Entry]:
    """Newest first."""
    after = after_cursor(query.cursor, str, str)
    try:
        at, seen = (moment(after[0]), int(after[1])) if after else (None, 0)
    except ValueError:
        raise BadRequest("cursor_invalid", "This cursor is not from this list: begin without one.") from None
    async with call.connection() as conn:
        rows = await blocked_numbers.page(conn, at=at, seen_at_that_moment=max(0, seen), limit=query.limit + 1)
    part = rows[: query.limit]
    more = None
    if len(rows) > query.limit:
        last = part[-1].created_at
        more = cursor_of([last, sum(row.created_at == last for row in part) + (seen if last == at else 0)])
    return Page[Entry](items=_shown(part), next=more)


@operation("POST", "/do-not-call", roles=DO_NOT_CALL, summary="Enter numbers that must not be called", status=201)
async def add_entries(call: Call, body: NewEntries) -> Added:
    """Their waiting leads leave the lists; a call that is under way goes on."""
    numbers = [_number(call, text, place) for place, text in enumerate(body.numbers)]
    async with call.transaction() as conn:
        added = await campaign_do_not_call.add(
            conn,
            numbers,
            reason=body.reason,
            source="api",
            user_id=call.identity.user_id,
            now=call.now,
            reach=replace(_reach(body), guarded_until=body.guarded_until),
        )
        await call.audit(
            conn,
            "do_not_call_added",
            "do_not_call",
            mask(numbers[0]),
            count=len(numbers),
            added=added,
            reason=body.reason,
            client=body.client,
            project_id=body.project_id,
        )
    return Added(added=added)


@operation("POST", "/do-not-call/check", roles=DO_NOT_CALL, summary="Whether a number must not be called")
async def check_number(call: Call, body: OneNumber) -> Listed:
    """Every entry that holds for it: for everybody or for some, by itself or by its prefix or region."""
    number = _number(call, body.number, 0)
    async with call.connection() as conn:
        found = await campaign_do_not_call.standing(conn, number, now=call.now)
    entries = [Standing(**asdict(one) | {"reason": scrubbed(one.reason, number, masked=True)}) for one in found]
    return Listed(listed=bool(entries), entries=entries)


@operation("POST", "/do-not-call/remove", roles=PLANNERS, summary="Take a number off the do-not-call list")
async def remove_entry(call: Call, body: RemoveEntry) -> None:
    """The entry for everybody, or for the client or project that is named. Leads that left their lists stay out: calling them again is a decision of its own."""
    number = _number(call, body.number, 0)
    async with call.transaction() as conn:
        if not await campaign_do_not_call.remove(
            conn, number, now=call.now, client=body.client, project_id=body.project_id
        ):
            raise _unknown(body)
        await call.audit(
            conn,
            "do_not_call_removed",
            "do_not_call",
            mask(number),
            reason=body.reason,
            client=body.client,
            project_id=body.project_id,
        )


@operation(
    "POST", "/projects/{project_id}/leads/bring-back", roles=IMPORTERS, summary="Call numbers again that were lifted"
)
async def bring_back(call: Call, project_id: UUID, body: BringBack) -> BroughtBack:
    """Leads that left the project's list by a do-not-call entry which holds no more. Who is on a list stays out."""
    numbers = [_number(call, text, place) for place, text in enumerate(body.numbers)]
    async with call.transaction() as conn:
        await there(conn, project_id)
        leads = await campaign_do_not_call.bring_back(conn, project_id, numbers, now=call.now)
        await call.audit(
            conn,
            "do_not_call_leads_brought_back",
            "project",
            project_id,
            numbers=[mask(number) for number in numbers[:20]],
            count=len(numbers),
            leads=leads,
            reason=body.reason,
        )
    return BroughtBack(leads=leads)


@operation("GET", "/do-not-call/areas", roles=DO_NOT_CALL, summary="List prefixes and regions that must not be called")
async def list_areas(call: Call) -> Areas:
    """All of them; there are few."""
    async with call.connection() as conn:
        return Areas(areas=[Area.model_validate(one) for one in await blocked_numbers.areas(conn)])


@operation(
    "POST", "/do-not-call/areas", roles=PLANNERS, summary="Enter a prefix or region that must not be called", status=201
)
async def add_area(call: Call, body: NewArea) -> Added:
    """It holds from the next claim on; while a region is on the list, leads whose region is not known are not called either."""
    async with call.transaction() as conn:
        added = await campaign_do_not_call.add_area(
            conn, body.kind, body.value, reason=body.reason, now=call.now, user_id=call.identity.user_id, reach=_reach(body)
        )  # fmt: skip
        await call.audit(
            conn,
            "do_not_call_area_added",
            "do_not_call",
            f"{body.kind} {body.value}",
            reason=body.reason,
            client=body.client,
            project_id=body.project_id,
        )
    return Added(added=int(added))


@operation("POST", "/do-not-call/areas/remove", roles=PLANNERS, summary="Take a prefix or region off")
async def remove_area(call: Call, body: OneArea) -> None:
    """The entry for everybody, or for the client or project that is named."""
    async with call.transaction() as conn:
        if not await campaign_do_not_call.remove_area(
            conn, body.kind, body.value, client=body.client, project_id=body.project_id
        ):
            raise _unknown(body)
        await call.audit(
            conn,
            "do_not_call_area_removed",
            "do_not_call",
            f"{body.kind} {body.value}",
            reason=body.reason,
            client=body.client,
            project_id=body.project_id,
        )


@operation("GET", "/do-not-call/lists", roles=DO_NOT_CALL, summary="The lists of others, and how old they are")
async def list_lists(call: Call) -> Lists:
    """National registries, an insurer's refusals; loaded by `waihu dnc load`."""
    async with call.connection() as conn:
        return Lists(lists=[LoadedList.model_validate(one) for one in await blocked_numbers.lists(conn)])


def _unknown(body: WhomIn) -> NotFound:
    whom = (
        f"client {body.client!r}" if body.client else f"project {body.project_id}" if body.project_id else "everybody"
    )
    return NotFound(
        "do_not_call_unknown", f"There is no such entry for {whom}; an entry for others is lifted by itself."
    )


def _reach(body: ReachIn) -> campaign_do_not_call.Reach:
    return campaign_do_not_call.Reach(client=body.client, project_id=body.project_id, expires_at=body.expires_at)


def _number(call: Call, text: str, place: int) -> str:
    try:
        return normalise(text, call.deps.settings.region).e164
    except BadInput as error:
        raise BadRequest(error.error_id, str(error), place=place) from None


def _shown(rows: Sequence[Blocked]) -> list[Entry]:
    return [
        Entry(number=mask(row.number), reason=scrubbed(row.reason, row.number, masked=True), source=row.source, user_id=row.user_id,
              created_at=row.created_at, client=row.client, project_id=row.project_id, category=row.category, expires_at=row.expires_at,
              guarded_until=row.guarded_until)
        for row in rows
    ]  # fmt: skip

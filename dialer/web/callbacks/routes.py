"""Callbacks: which are to be made, by whom, and giving those of one who is gone to somebody else."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from campaigns import promises
from campaigns.promises import Promise
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.callbacks.types import Callback, CallbackQuery, Reassign, Reassigned
from dialer.web.fields import Page, after_cursor, big_id, moment, page_of
from dialer.web.masking import scrubbed, shown
from dialer.web.projects.routes import only_own
from dialer.web.roles import LEAD_READERS, STAFF


@operation("GET", "/callbacks", roles=LEAD_READERS | {Role.AGENT}, summary="List callbacks that are to be made")
async def list_callbacks(call: Call, query: CallbackQuery) -> Page[Callback]:
    """The first due first. An agent sees those they have promised themselves."""
    own = only_own(call)
    after = cast("tuple[datetime, int] | None", after_cursor(query.cursor, moment, big_id))
    if own and (query.shared or query.agent_id not in {None, own}):
        return Page[Callback](items=[], next=None)
    async with call.connection() as conn:
        rows = await promises.list_promises(
            conn, project_id=query.project_id, agent_id=own or query.agent_id, shared=query.shared, after=after, limit=query.limit + 1,
        )  # fmt: skip
    return page_of(rows, query.limit, _shown, lambda row: [row.due_at, row.lead_id])


@operation("POST", "/callbacks/reassign", roles=STAFF, summary="Give callbacks to another agent")
async def reassign(call: Call, body: Reassign) -> Reassigned:
    """All or none; when they are due does not change. One that is being made at this moment is not among them."""
    async with call.transaction() as conn:
        moved = await promises.reassign(
            conn, to=body.to_agent_id, lead_ids=body.lead_ids, from_agent_id=body.from_agent_id, project_id=body.project_id,
        )  # fmt: skip
        asked = body.model_dump(mode="json", exclude_none=True)
        await call.audit(conn, "callbacks_reassigned", "agent", body.to_agent_id or "anybody", moved=moved, **asked)
    return Reassigned(moved=moved)


def _shown(row: Promise) -> Callback:
    values = {name: getattr(row, name) for name in Callback.model_fields}
    values["number"] = shown(row.number, masked=row.masked)
    values["name"] = scrubbed(row.name, row.number, masked=row.masked)
    return Callback.model_validate(values)

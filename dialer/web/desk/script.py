"""The script on the desk: what to read and ask now, for this customer; each answer is kept at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from campaigns.leads import get_lead
from campaigns.questionnaires.flow import way
from campaigns.scripts import responses
from campaigns.scripts.assignments import script_of_project
from campaigns.scripts.rendering import search, words
from campaigns.scripts.responses import Response, known_of
from campaigns.scripts.versions import ready
from campaigns.sql import OneConnection
from dialer.domain.errors import Conflict, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.desk.routes import whose
from dialer.web.desk.script_types import (
    DeskObjection,
    DeskObjections,
    DeskScript,
    GivenAnswer,
    Name,
    ReadOut,
    SearchQuery,
)
from dialer.web.desk.script_view import seen, view
from dialer.web.desk.types import AgentRef
from dialer.web.projects.routes import there
from dialer.web.roles import DESK

OPEN_FOR: Final = timedelta(days=1)
"""An agent may still answer for a call of theirs that has no result yet, this long."""


@operation("GET", "/desk/{agent_id}/script", roles=DESK, summary="What to read and ask now")
async def get_script(call: Call, agent_id: AgentRef) -> DeskScript:
    """Of the call in hand, or for the lead in preview. A browser that is opened again finds everything that was answered."""
    agent = whose(call, agent_id)
    async with call.connection() as conn:
        return view(*await _before(call, conn, agent))


@operation("GET", "/desk/{agent_id}/script/objections", roles=DESK, summary="What to say to an objection (应对话术)")
async def find_objections(call: Call, agent_id: AgentRef, query: SearchQuery) -> DeskObjections:
    """Every word is looked for in keywords, title and answer."""
    agent = whose(call, agent_id)
    async with call.connection() as conn:
        response, masked = await _before(call, conn, agent)
    say = words(response.script, known_of(seen(response, masked=masked)), response.way)
    found = search(response.script.document.objections, query.search)
    return DeskObjections(
        objections=[DeskObjection(name=one.name, title=one.title, keywords=list(one.keywords), answer=say(one.answer).text) for one in found]
    )  # fmt: skip


@operation("PUT", "/desk/{agent_id}/script/answers/{name}", roles=DESK, summary="Answer a question, tick a list")
async def put_answer(call: Call, agent_id: AgentRef, name: Name, body: GivenAnswer) -> DeskScript:
    """Kept at once; what comes next is in the answer. May be sent again, and changed until the call has its result."""
    agent = whose(call, agent_id)
    async with call.transaction() as conn:
        await _theirs(call, conn, agent, body.attempt_id)
        response = await responses.answer(
            conn, body.attempt_id, name, body.answer, now=call.now, user_id=call.identity.user_id
        )
        project = await there(conn, response.project_id)
        return view(response, project.mask_numbers)


@operation(
    "POST", "/desk/{agent_id}/script/sections/{name}/read", roles=DESK, summary="Say that a section was read out"
)
async def mark_read(call: Call, agent_id: AgentRef, name: Name, body: ReadOut) -> DeskScript:
    """Kept as the place in the recording; the first time counts. Refused when the call is over: nobody hears it any more."""
    agent = whose(call, agent_id)
    async with call.transaction() as conn:
        await _theirs(call, conn, agent, body.attempt_id)
        if _live(call, agent).get("state") == "wrap_up":  # the engine knows of the end first
            raise responses.call_over()
        response = await responses.mark_read(
            conn, body.attempt_id, name, now=call.now, answered_at=_answered_at(call, body.attempt_id), user_id=call.identity.user_id
        )  # fmt: skip
        project = await there(conn, response.project_id)
        return view(response, project.mask_numbers)


def _live(call: Call, agent_id: UUID) -> Mapping[str, Any]:
    return call.deps.feed.snapshot()["state"].get("agent", {}).get(str(agent_id)) or {}


def _answered_at(call: Call, attempt_id: UUID) -> datetime | None:
    live = call.deps.feed.snapshot()["state"].get("call", {}).get(str(attempt_id)) or {}
    return datetime.fromisoformat(live["answered_at"]) if live.get("answered_at") else None


async def _before(call: Call, conn: OneConnection, agent_id: UUID) -> tuple[Response, bool]:
    """What the agent has before them, and whether its project masks numbers. Errors: NotFound `script_none`."""
    live = _live(call, agent_id)
    response: Response | None = None
    if live.get("attempt_id"):
        response = await responses.response_of(conn, UUID(str(live["attempt_id"])))
    elif live.get("project_id"):
        response = await _preview(conn, UUID(str(live["project_id"])), live.get("lead_id"))
    if response is None:
        raise NotFound("script_none", "There is no script for what is before you now.")
    return response, (await there(conn, response.project_id)).mask_numbers


async def _preview(conn: OneConnection, project_id: UUID, lead_id: int | None) -> Response | None:
    """The script as it begins; which version the call will get is only known when it is placed."""
    assignment = await script_of_project(conn, project_id)
    if assignment is None:
        return None
    script = await ready(conn, assignment.used.script_id, assignment.used.version)
    lead = None if lead_id is None else await get_lead(conn, int(lead_id))
    return Response(
        attempt_id=None, project_id=project_id, script_id=assignment.used.script_id, version=assignment.used.version, trial=False,
        script=script, number="" if lead is None else lead.number, lead=lead, answers={}, read={}, way=way(script.flow, {}, known_of(lead)), full_cell=None,
    )  # fmt: skip


_THEIRS: Final = """
select agent_id = $2 and wrapped_at is null and created_at > $3 from attempts where id = $1
"""


async def _theirs(call: Call, conn: OneConnection, agent_id: UUID, attempt_id: UUID) -> None:
    """Errors: Conflict `not_your_call`."""
    if _live(call, agent_id).get("attempt_id") == str(attempt_id):
        return
    if not await conn.fetchval(_THEIRS, attempt_id, agent_id, call.now - OPEN_FOR):
        raise Conflict("not_your_call", "This call is not before you, or it has its result already.")

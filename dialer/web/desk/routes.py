"""The agent's desk: what an agent does all day. An agent acts for themself, a leader for anybody.

A conversation goes on while the database is away, and so does the desk: see `Access` and `DeskAudit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from campaigns.masking import mask
from campaigns.numbers import normalise
from dialer.db import departures
from dialer.domain.commands import (
    AgentBreak,
    AgentCommand,
    AgentLogin,
    AgentLogout,
    AgentReady,
    Dial,
    HangUp,
    Hold,
    PauseRecording,
    PreviewNext,
    PreviewSkip,
    Resume,
    ResumeRecording,
    Transfer,
    WrapUp,
)
from dialer.domain.errors import BadRequest, NotAllowed, WaihuError
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import run
from dialer.web.desk.screen import desk_of
from dialer.web.desk.types import (
    AgentRef,
    Departure,
    Departures,
    Desk,
    DialOut,
    DoneOut,
    PauseFor,
    ShowNext,
    SitDown,
    SkipLead,
    TakeBreak,
    TransferTo,
    WrapUpWith,
)
from dialer.web.projects.routes import only_own, there
from dialer.web.roles import DESK


@operation("GET", "/desk/{agent_id}", roles=DESK, summary="What an agent has before them", survives=True)
async def get_desk(call: Call, agent_id: AgentRef) -> Desk:
    """State, call, lead, script and results to choose from, in one answer."""
    return await desk_of(call, whose(call, agent_id))


@operation("POST", "/desk/{agent_id}/login", roles=DESK, summary="Sit down: the softphone is called")
async def log_in(call: Call, agent_id: AgentRef, body: SitDown) -> DoneOut:
    """On one of the agent's devices."""
    agent = whose(call, agent_id)
    return await _do(
        call, AgentLogin(agent_id=agent, device_id=body.device_id, wanted=body.wanted), device_id=body.device_id
    )


@operation(
    "POST", "/desk/{agent_id}/logout", roles=DESK, summary="Leave: at once, or after the present work", survives=True
)
async def log_out(call: Call, agent_id: AgentRef) -> DoneOut:
    """The seat is given up."""
    return await _do(call, AgentLogout(agent_id=whose(call, agent_id)))


@operation("POST", "/desk/{agent_id}/ready", roles=DESK, summary="Be ready for the next call", survives=True)
async def be_ready(call: Call, agent_id: AgentRef) -> DoneOut:
    """At once, or after the present work."""
    return await _do(call, AgentReady(agent_id=whose(call, agent_id)))


@operation("POST", "/desk/{agent_id}/break", roles=DESK, summary="Take a break (小休)", survives=True)
async def take_break(call: Call, agent_id: AgentRef, body: TakeBreak) -> DoneOut:
    """At once, or after the present work."""
    return await _do(call, AgentBreak(agent_id=whose(call, agent_id), reason=body.reason), reason=body.reason)


@operation("POST", "/desk/{agent_id}/dial", roles=DESK, summary="Call a number or a lead")
async def dial(call: Call, agent_id: AgentRef, body: DialOut) -> DoneOut:
    """Manual dialling; in preview, the lead that is shown."""
    agent = whose(call, agent_id)
    async with call.connection() as conn:
        await there(conn, body.project_id, only_own(call))
    number = None if body.number is None else normalise(body.number, call.deps.settings.region).e164
    command = Dial(agent_id=agent, project_id=body.project_id, number=number, lead_id=body.lead_id)
    shown = {"number": mask(number)} if number else {"lead_id": body.lead_id}
    return await _do(call, command, project_id=body.project_id, **shown)


@operation("POST", "/desk/{agent_id}/preview/next", roles=DESK, summary="Show the next lead")
async def preview_next(call: Call, agent_id: AgentRef, body: ShowNext) -> DoneOut:
    """It is kept for the agent while they look at it."""
    agent = whose(call, agent_id)
    async with call.connection() as conn:
        await there(conn, body.project_id, only_own(call))
    return await _do(call, PreviewNext(agent_id=agent, project_id=body.project_id), project_id=body.project_id)


@operation("POST", "/desk/{agent_id}/preview/skip", roles=DESK, summary="Do not dial the lead shown")
async def preview_skip(call: Call, agent_id: AgentRef, body: SkipLead) -> DoneOut:
    """It rests as long as the project says and comes to somebody else first."""
    return await _do(call, PreviewSkip(agent_id=whose(call, agent_id), reason=body.reason), reason=body.reason)


@operation("POST", "/desk/{agent_id}/hang-up", roles=DESK, summary="End the call", survives=True)
async def hang_up(call: Call, agent_id: AgentRef) -> DoneOut:
    """Then comes the wrap-up."""
    return await _do(call, HangUp(agent_id=whose(call, agent_id)))


@operation("POST", "/desk/{agent_id}/hold", roles=DESK, summary="Let the customer wait with music", survives=True)
async def hold(call: Call, agent_id: AgentRef) -> DoneOut:
    """Until `resume`."""
    return await _do(call, Hold(agent_id=whose(call, agent_id)))


@operation("POST", "/desk/{agent_id}/resume", roles=DESK, summary="Back to the customer on hold", survives=True)
async def resume(call: Call, agent_id: AgentRef) -> DoneOut:
    """They hear the agent again."""
    return await _do(call, Resume(agent_id=whose(call, agent_id)))


@operation(
    "POST",
    "/desk/{agent_id}/recording/pause",
    roles=DESK,
    summary="Record nothing while a number is said",
    survives=True,
)
async def pause_recording(call: Call, agent_id: AgentRef, body: PauseFor) -> DoneOut:
    """Neither side is recorded from the answer on, until `resume`, at most as long as the project says. Refused: it goes on being recorded."""
    command = PauseRecording(agent_id=whose(call, agent_id), reason=body.reason, note=body.note)
    return await _do(call, command, reason=body.reason, note=body.note)


@operation(
    "POST", "/desk/{agent_id}/recording/resume", roles=DESK, summary="Record the conversation again", survives=True
)
async def resume_recording(call: Call, agent_id: AgentRef) -> DoneOut:
    """Also when it was resumed already."""
    return await _do(call, ResumeRecording(agent_id=whose(call, agent_id)))


@operation("POST", "/desk/{agent_id}/transfer", roles=DESK, summary="Give the customer to another agent", survives=True)
async def transfer(call: Call, agent_id: AgentRef, body: TransferTo) -> DoneOut:
    """Who has to be ready."""
    agent = whose(call, agent_id)
    return await _do(call, Transfer(agent_id=agent, to_agent_id=body.to_agent_id), to_agent_id=body.to_agent_id)


@operation("POST", "/desk/{agent_id}/wrap-up", roles=DESK, summary="Say what the call has come to")
async def wrap_up(call: Call, agent_id: AgentRef, body: WrapUpWith) -> DoneOut:
    """Ends the wrap-up; the lead moves by the result's effect."""
    agent = whose(call, agent_id)
    command = WrapUp(
        agent_id=agent, disposition=body.disposition, note=body.note, callback_at=body.callback_at,
        callback_personal=body.callback_personal, fields=dict(body.fields),
    )  # fmt: skip
    return await _do(call, command, disposition=body.disposition, callback_at=body.callback_at)


@operation("GET", "/desk/{agent_id}/departures", roles=DESK, summary="When an agent is going to leave")
async def get_departures(call: Call, agent_id: AgentRef) -> Departures:
    """Breaks, lunch, the end of the shift: what is still to come."""
    agent = whose(call, agent_id)
    async with call.connection() as conn:
        return _departures(await departures.of_agents(conn, [agent]), agent)


@operation("PUT", "/desk/{agent_id}/departures", roles=DESK, summary="Say ahead when an agent is going to leave")
async def put_departures(call: Call, agent_id: AgentRef, body: Departures) -> Departures:
    """These and no others. The pacer places no call that such an agent would have to take; at the time the agent goes, after the
    call of that moment, without anybody doing anything. Takes effect within seconds.
    """
    agent = whose(call, agent_id)
    wanted = [
        departures.Departure(agent_id=agent, at=one.at, wanted=one.to, reason=one.reason) for one in body.departures
    ]
    if any(one.at <= call.now for one in wanted):
        raise BadRequest("departure_past", "A departure lies in the future: give a later time.")
    async with call.transaction() as conn:
        await departures.plan(conn, agent, wanted, user_id=call.identity.user_id)
        said = [f"{one.at.isoformat()} {one.wanted} {one.reason}".strip() for one in wanted]
        await call.audit(conn, "agent_departures_set", "agent", agent, departures=said)
        return _departures(await departures.of_agents(conn, [agent]), agent)


def _departures(found: Mapping[UUID, Sequence[departures.Departure]], agent_id: UUID) -> Departures:
    rows = found.get(agent_id, ())
    return Departures(departures=[Departure(at=one.at, to=one.wanted, reason=one.reason) for one in rows])


async def _do(call: Call, command: AgentCommand, **detail: object) -> DoneOut:
    """The audit row says what was asked and, when the engine refused it, why; also when whoever asked did not wait for the answer."""
    said: dict[str, object] = dict(detail)
    try:
        return DoneOut.model_validate(await run(call, command))
    except WaihuError as error:
        said["refused"] = error.error_id
        raise
    finally:
        await call.parts.desk_audit.write(call.entry(command.kind, "agent", command.agent_id, **said))


def whose(call: Call, agent_id: UUID | str) -> UUID:
    """The agent meant. Errors: NotAllowed `not_your_desk`, `no_agent`."""
    me = call.identity
    if me.role == Role.AGENT or agent_id == "me":
        if me.agent_id is None:
            raise NotAllowed("no_agent", "Your user is no agent: ask your team leader to make you one.")
        if agent_id not in {"me", me.agent_id}:
            raise NotAllowed("not_your_desk", "An agent works at their own desk only.")
        return me.agent_id
    if not isinstance(agent_id, UUID):
        raise NotAllowed("not_your_desk", "An agent works at their own desk only.")
    return agent_id

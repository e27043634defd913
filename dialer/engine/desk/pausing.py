"""Pauses of a recording: what is said meanwhile (card numbers and the like) is in neither leg, and the time axis is kept.

Asterisk mutes both legs for us; ours is to be sure of it. An agent hears "paused" only after Asterisk has said so. The end of a pause, by whomever,
is sent until Asterisk has answered, or the call is over. The customer's channel carries the mark of the pause, so that an engine that takes over knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, AmiError, NotSent
from dialer.db.pauses import PauseNews
from dialer.domain.commands import Done, PauseRecording
from dialer.domain.errors import BadRequest, Conflict, Unavailable
from dialer.domain.machine import Kind
from dialer.domain.pause_table import PAUSE_TABLE, PauseEvent, PauseState
from dialer.domain.pauses import MARK_VARIABLE, MOST_NOTE, REASONS, Mark, PauseEnd, Reason
from dialer.domain.states import AgentState, CallState
from dialer.engine.agents import Agents
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock
from dialer.engine.desk.talking import call_in_hand
from dialer.engine.floor import Agent, Call, Floor, Pause
from dialer.engine.journal import Journal
from dialer.engine.metrics import Metrics
from dialer.engine.pause_forms import mark_for, marked, paused, row_of
from dialer.engine.projects import Projects
from dialer.engine.publishing import Publishing
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

ANSWER_S: Final = 2.0
"""How long Asterisk's answer to one order is waited for."""

TAIL_S: Final = 0.2
"""From the word to record again until the order to do so: what was said before it may still be on its way, by the network and in Asterisk's queue."""

_AGAIN_S: Final = 0.5
_RESUMED_WITHIN_S: Final = 3.0


class Pausing:
    """`pause` and `resume` are the desk's; the limit, a transfer and the end of the call end a pause by themselves."""

    def __init__(
        self,
        floor: Floor,
        agents: Agents,
        calls: Calls,
        projects: Projects,
        publishing: Publishing,
        journal: Journal,
        ami: AmiClient,
        tasks: TaskSet,
        metrics: Metrics,
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self._floor = floor
        self._projects = projects
        self._publishing = publishing
        self._journal = journal
        self._ami = ami
        self._tasks = tasks
        self._metrics = metrics
        self._clock = clock
        self._new_id = new_id
        agents.on_left.append(self._agent_left)
        calls.on_ended.append(self._call_ended)

    async def pause(self, agent: Agent, command: PauseRecording) -> Done:
        """Nothing is recorded when this returns. Asked twice for the same reason is asked once.

        Errors: BadRequest `pause_reason_unknown`, `pause_note`; Conflict `no_call`, `no_conversation`, `pause_not_allowed`, `not_recorded`,
        `already_paused`; Unavailable `recording_not_paused`: it goes on.
        """
        reason = _reason(command)
        call = call_in_hand(self._floor, agent, CallState.BRIDGED)
        limit_s = self._projects.recording_pause_limit_s(call.project_id)
        if not limit_s:
            raise Conflict("pause_not_allowed", "Conversations of this project are recorded whole.")
        if call.pause is not None and call.pause.state is PauseState.RESUMING:
            await self._until_over(call.pause)
        done = Done(state=agent.state.value, attempt_id=call.attempt_id)
        if (now := call.pause) is not None:
            if now.state is PauseState.PAUSED and (now.agent_id, now.reason) == (agent.agent_id, reason.code):
                return done
            raise Conflict("already_paused", "The recording is paused already: resume it first.")
        recorder = await self._recorder_of(call)
        started_at = self._clock.now()
        pause = call.pause = Pause(
            id=self._new_id(),
            agent_id=agent.agent_id,
            reason=reason.code,
            note=command.note,
            started_at=started_at,
            until=started_at + timedelta(seconds=limit_s),
            state=PAUSE_TABLE.step(PauseState.RECORDED, PauseEvent.ASKED).state,
        )
        self._publishing.call(call)
        await self._mute(call, pause, recorder)
        if self._floor.call_of_agent(agent) is not call:
            self._end(call, pause, PauseEnd.HANDED_OVER)
        if call.pause is not pause or pause.state is not PauseState.PAUSED:
            raise Conflict("no_conversation", "The conversation was over before the recording could be paused.")
        self._begun(call, pause)
        return done

    async def resume(self, agent: Agent) -> Done:
        """It is recorded again when this returns, also when it was never paused. Errors: Conflict `no_call`, `no_conversation`; Unavailable `recording_not_resumed`: it is tried on."""
        call = call_in_hand(self._floor, agent, CallState.BRIDGED, CallState.HELD)
        if (pause := call.pause) is not None:
            self._end(call, pause, PauseEnd.AGENT)
            await self._until_over(pause)
        return Done(state=agent.state.value, attempt_id=call.attempt_id)

    def adopt(self, call: Call, mark: Mark | None, kept: PauseNews | None) -> None:
        """A call that another run of ours began: what its channel says of a pause, and what its row does."""
        if mark is not None and mark.ended_at is not None and mark.ended_by is not None:
            news = row_of(call, marked(mark, kept, mark.ended_at), mark.ended_by, mark.ended_at)
            self._journal.pause(news)
            if kept is None or kept.id == mark.pause_id:
                return
        limit = timedelta(seconds=self._projects.recording_pause_limit_s(call.project_id))
        if mark is not None and mark.ended_at is None:
            call.pause = marked(mark, kept, mark.started_at + limit)
        elif kept is not None:
            call.pause = paused(kept, kept.started_at + limit)
        if (pause := call.pause) is not None:
            self._begun(call, pause)
            if call.agent_id != pause.agent_id:
                self._end(call, pause, PauseEnd.HANDED_OVER)

    # --- orders to Asterisk ---

    async def _recorder_of(self, call: Call) -> str:
        """Asterisk's name of the running recording. Errors: Conflict `not_recorded`; Unavailable."""
        try:
            answer = await self._ami.send(
                actions.get_variable(call.channel_id, "WAIHU_MIXMONITOR"), deadline_s=ANSWER_S
            )
        except AmiError as error:
            raise _goes_on(error) from error
        if not (recorder := answer.get("Value")):
            raise Conflict("not_recorded", "This call is not recorded: there is nothing to pause.")
        return recorder

    async def _mute(self, call: Call, pause: Pause, recorder: str) -> None:
        """The mark first: should we die in between, whoever takes over finds it. Both go out in one breath."""
        order = actions.mute_recording(call.channel_id, muted=True, recording=recorder)
        try:
            await asyncio.gather(self._mark(call, mark_for(pause)), self._ami.send(order, deadline_s=ANSWER_S))
        except (NotSent, ActionFailed) as error:
            if self._apply(pause, PauseEvent.REFUSED):
                call.pause = None
                pause.over.set()
                self._publishing.call(call)
                await self._mark(call, None)
            raise _goes_on(error) from error
        except BaseException as error:
            self._end(call, pause, PauseEnd.FAILED, PauseEvent.UNSURE)
            if isinstance(error, AmiError):
                raise _goes_on(error) from error
            raise
        self._apply(pause, PauseEvent.MUTED)

    async def _mark(self, call: Call, mark: Mark | None) -> None:
        order = actions.set_variable(call.channel_id, MARK_VARIABLE, str(mark or ""))
        try:
            await self._ami.send(order, deadline_s=ANSWER_S)
        except AmiError as error:
            _log.warning("A pause could not be marked", attempt_id=str(call.attempt_id), error_id=error.error_id)

    async def _unmute(self, call: Call, pause: Pause, by: PauseEnd) -> None:
        """Until Asterisk has answered, or the call is over."""
        await asyncio.sleep(TAIL_S)
        tries = 0
        while call.pause is pause:
            try:
                await self._ami.send(actions.mute_recording(call.channel_id, muted=False), deadline_s=ANSWER_S)
            except AmiError as error:
                tries += 1
                if tries == 1:
                    _log.warning(
                        "A recording cannot be resumed yet", attempt_id=str(call.attempt_id), error_id=error.error_id
                    )
                await asyncio.sleep(_AGAIN_S)
                continue
            if call.pause is pause and self._apply(pause, PauseEvent.UNMUTED):
                now = self._clock.now()
                self._closed(call, pause, by, now)
                self._publishing.call(call)
                await self._mark(call, mark_for(pause, by, now))

    # --- ends ---

    def _end(self, call: Call, pause: Pause, by: PauseEnd, event: PauseEvent = PauseEvent.OVER) -> None:
        if call.pause is not pause or not self._apply(pause, event):
            return
        pause.ended_by = by
        self._publishing.call(call)
        self._tasks.spawn(f"resume recording {call.attempt_id}", self._unmute(call, pause, by))

    async def _limit(self, call: Call, pause: Pause) -> None:
        left_s = max(0.0, (pause.until - self._clock.now()).total_seconds())
        try:
            async with asyncio.timeout(left_s):
                await pause.over.wait()
        except TimeoutError:
            self._end(call, pause, PauseEnd.LIMIT)

    def _agent_left(self, agent: Agent, former: AgentState, _spent_s: float) -> None:
        """Who takes the customer over does not know of the pause."""
        call = self._floor.call_of_agent(agent) if former is AgentState.TALKING else None
        if call is not None and call.pause is not None and call.pause.agent_id == agent.agent_id:
            self._end(call, call.pause, PauseEnd.HANDED_OVER)

    def _call_ended(self, call: Call) -> None:
        if (pause := call.pause) is not None:
            self._closed(call, pause, pause.ended_by or PauseEnd.CALL_END, call.ended_at or self._clock.now())

    def _closed(self, call: Call, pause: Pause, by: PauseEnd, at: datetime) -> None:
        call.pause, call.pause_ended_by = None, by
        self._journal.pause(row_of(call, pause, by, at))
        self._metrics.recording_pauses.labels(ended_by=by.value).inc()
        pause.over.set()

    # --- what is said of it ---

    def _apply(self, pause: Pause, event: PauseEvent) -> bool:
        step = PAUSE_TABLE.step(pause.state, event)
        if step.kind is Kind.ILLEGAL:
            self._metrics.illegal.labels(of="pause").inc()
            _log.error("Illegal event for a pause", pause_id=str(pause.id), state=pause.state, pause_event=event)
        elif step.kind is Kind.STRAGGLER:
            self._metrics.stragglers.labels(of="pause").inc()
        pause.state = step.state
        return step.kind is Kind.MOVE

    def _begun(self, call: Call, pause: Pause) -> None:
        self._journal.pause(row_of(call, pause))
        self._publishing.call(call)
        self._tasks.spawn(f"limit of a pause {call.attempt_id}", self._limit(call, pause))

    async def _until_over(self, pause: Pause) -> None:
        try:
            async with asyncio.timeout(_RESUMED_WITHIN_S):
                await pause.over.wait()
        except TimeoutError:
            raise Unavailable(
                "recording_not_resumed", "Asterisk does not answer: the recording is resumed as soon as it does."
            ) from None


def _reason(command: PauseRecording) -> Reason:
    reason = next((one for one in REASONS if one.code == command.reason), None)
    if reason is None:
        codes = ", ".join(one.code for one in REASONS)
        raise BadRequest("pause_reason_unknown", f"Say why the recording is paused: {codes}.")
    if reason.needs_note != bool(command.note.strip()) or len(command.note) > MOST_NOTE:
        raise BadRequest(
            "pause_note", f"The reason `other` wants a note of 1 to {MOST_NOTE} characters; no other takes one."
        )
    return reason


def _goes_on(error: AmiError) -> Unavailable:
    return Unavailable(
        "recording_not_paused",
        f"The recording could not be paused and goes on ({error.error_id}): let no number be said. Try again.",
    )

"""The question of the dialplan: a customer is there, whom do they get? Answered from memory, so that no dead service matters.

An agent who fits is promised at once; otherwise the customer waits up to the project's limit, in the order of answer; then the
safe harbour. The same question comes again (`redirected`) after hold, on a transfer, when the seat was gone at the moment of the
bridge, and when the seat left a conversation first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from agi.errors import AgiError, CommandOverdue
from agi.routes import AgiRequest, Handler
from agi.session import AgiSession
from dialer.domain.call_table import CallEvent
from dialer.domain.ids import attempt_of_channel
from dialer.domain.matching import Need, in_turn
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.agents import Agents
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock, dated
from dialer.engine.detection import heard
from dialer.engine.floor import Agent, Call, Floor, Seat
from dialer.engine.giving_up import GivingUp
from dialer.engine.metrics import Metrics
from dialer.engine.projects import Projects
from dialer.engine.seats import Seats
from dialer.engine.surveying import Over, Spoken, Surveying
from dialer.engine.wrapping import Wrapping

_log = structlog.get_logger(__name__)

_SEAT_NEWS_S = 0.3  # how long the news of a seat's hang-up may come after the question it caused
_ADOPTION_S = 2.0


class Action(StrEnum):
    """What the dialplan is told to do (WAIHU_ACTION)."""

    BRIDGE = "bridge"
    SAFE_HARBOUR = "safe_harbour"
    HANGUP = "hangup"
    SURVEY = "survey"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to the dialplan; `seat` is the channel to bridge with, `variables` what a step of a survey needs."""

    action: Action
    seat: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


class Answering:
    """Matches answered customers with agents."""

    def __init__(
        self,
        floor: Floor,
        calls: Calls,
        agents: Agents,
        seats: Seats,
        wrapping: Wrapping,
        giving_up: GivingUp,
        projects: Projects,
        surveying: Surveying,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._floor = floor
        self._calls = calls
        self._agents = agents
        self._seats = seats
        self._wrapping = wrapping
        self._giving_up = giving_up
        self._projects = projects
        self._surveying = surveying
        self._metrics = metrics
        self._clock = clock
        self.adopted = asyncio.Event()
        agents.on_ready.append(self.offer)

    def routes(self) -> dict[str, Handler]:
        """For the FastAGI server."""
        return {
            "/call/answered": self._answered,
            "/call/redirected": self._redirected,
            "/call/survey": self._surveyed,
        }

    async def answered(self, channel_id: str, said: Sequence[str] = ()) -> Answer:
        """The customer has answered; `said`: when, and what detection tells where it listened."""
        call = await self._find(channel_id)
        if call is None:
            return Answer(Action.SAFE_HARBOUR)
        when, *listened = said or ("",)
        self._calls.apply(call, CallEvent.ANSWERED, at=dated(self._clock, when))
        if (what := heard(listened)) is not None:
            self._calls.heard(call, what)
        await self._giving_up.settled(call)
        if call.machine:
            return Answer(Action.HANGUP)
        if call.mode is Mode.AGENTLESS and call.wanted_agent is None:
            return await self._at(call, await self._surveying.begin(call))
        return await self._decide(call)

    async def surveyed(self, channel_id: str, said: Sequence[str]) -> Answer:
        """A step of a survey was played; `said` is what the dialplan tells of it."""
        call = await self._find(channel_id)
        if call is None:
            return Answer(Action.SAFE_HARBOUR)
        return await self._at(call, await self._surveying.go_on(call, said))

    async def redirected(self, channel_id: str) -> Answer:
        """The customer is without an agent again: from hold, on a transfer, or because the seat has gone."""
        call = await self._find(channel_id)
        if call is None:
            return Answer(Action.SAFE_HARBOUR)
        if call.state is CallState.BRIDGED and call.wanted_agent is None:
            self._calls.apply(call, CallEvent.UNBRIDGED)
        elif call.state in (CallState.HELD, CallState.BRIDGED):
            self._calls.apply(call, CallEvent.RESUMED)
        if call.wanted_agent is None and call.bridged_at is not None and await self._ended_by_agent(call):
            call.end_by_agent = True
            return Answer(Action.HANGUP)
        self._end_conversation(call)
        await self._leave_lost_seat(call)
        return await self._decide(call)

    def offer(self, agent: Agent) -> None:
        """An agent is ready: of the waiting customers who fit, one of the highest priority (the project's, then for this agent) who waits longest gets them."""

        def priority(call: Call) -> tuple[int, int]:
            return self._projects.priority(call.project_id), agent.priorities.get(call.project_id, 0)

        for call in in_turn(self._floor.waiting.values(), priority):
            if call.waiter is None or call.waiter.done() or self._floor.ready_for(self._need(call)) is not agent:
                continue
            self._agents.promise(agent, call)
            call.waiter.set_result(agent.agent_id)
            return

    async def _at(self, call: Call, step: Spoken | Over) -> Answer:
        """What the dialplan does at a step: play it, look for an agent, or end the call."""
        match step:
            case Over.NOT_HEARD:
                return Answer(Action.SAFE_HARBOUR)
            case Over.PLAYED:
                return Answer(Action.HANGUP)
        if not step.wants_agent:
            return Answer(Action.SURVEY, variables=step.variables())
        call.answered_s = self._clock.monotonic()  # the wait for an agent begins with the key
        answer = await self._decide(call)
        if answer.action is not Action.SAFE_HARBOUR:
            return answer
        otherwise = await self._surveying.without_agent(call, step)
        call.waited_out = otherwise is Over.NOT_HEARD
        return await self._at(call, otherwise)

    async def _decide(self, call: Call) -> Answer:
        began_s = self._clock.monotonic()
        call.questions = question = call.questions + 1
        agent = self._promised(call)
        if agent is None:
            self._metrics.answer_to_decision.observe(self._clock.monotonic() - began_s)
            agent = await self._wait(call)
            if call.questions != question:
                return Answer(Action.HANGUP)  # the dialplan has asked again: nobody hears this answer
        else:
            self._metrics.answer_to_decision.observe(self._clock.monotonic() - began_s)
        if call.state is CallState.ENDED:
            self._release(agent, call)
            return Answer(Action.HANGUP)
        if agent is None or agent.seat is None:
            call.waited_out = True
            call.wanted_agent = None
            return Answer(Action.SAFE_HARBOUR)
        call.wanted_agent = None
        self._calls.agent_changed(call)
        return Answer(Action.BRIDGE, agent.seat.channel or agent.seat.channel_id)

    def _promised(self, call: Call) -> Agent | None:
        """The agent this call has already, or one who is promised now."""
        if call.wanted_agent is not None:
            agent = self._floor.agents.get(call.wanted_agent)
            if agent is not None and agent.attempt_id == call.attempt_id and agent.seated:
                return agent
            if agent is None or agent.state is not AgentState.SEATING:
                call.wanted_agent = None  # gone for good: anybody of the project is better than nobody
                self._end_conversation(call)
        held = self._floor.agents.get(call.agent_id) if call.agent_id else None
        if (
            held is not None
            and held.seated
            and held.state in (AgentState.RESERVED, AgentState.TALKING)
            and held.attempt_id == call.attempt_id
        ):
            return held  # promised when the dialplan asked before; or led out of the bridge by a limit that came late
        if call.waited_out:
            return None
        agent = self._floor.ready_for(self._need(call))
        if agent is not None:
            self._agents.promise(agent, call)
        return agent

    async def _wait(self, call: Call) -> Agent | None:
        """Wait in the queue for the limit of the project."""
        if call.waited_out:
            return None
        limit_s = self._projects.agent_wait_s(call.project_id)
        waited_s = self._clock.monotonic() - call.answered_s if call.bridged_at is None else 0.0
        if call.waiter is not None:
            call.waiter.cancel()
        call.waiter = waiter = asyncio.get_running_loop().create_future()
        self._floor.waiting[call.attempt_id] = call
        try:
            async with asyncio.timeout(max(0.0, limit_s - waited_s)):
                return self._floor.agents.get(await waiter)
        except TimeoutError:
            # The promise may have been made in the last moment.
            return self._floor.agents.get(waiter.result()) if waiter.done() and not waiter.cancelled() else None
        except asyncio.CancelledError:
            if not waiter.cancelled():
                raise
            return None
        finally:
            if call.waiter is waiter:
                call.waiter = None
                self._floor.waiting.pop(call.attempt_id, None)

    async def _ended_by_agent(self, call: Call) -> bool:
        """Did the agent hang up the phone (that ends the call), or did the seat vanish (the customer gets another agent)?"""
        agent = self._floor.agents.get(call.agent_id) if call.agent_id else None
        deadline_s = self._clock.monotonic() + _SEAT_NEWS_S
        while agent is not None and agent.seated and self._clock.monotonic() < deadline_s:  # noqa: ASYNC110 - bounded, rare
            await asyncio.sleep(0.01)
        return agent is None or not agent.seat_vanished

    def _end_conversation(self, call: Call) -> None:
        """Who talked with the customer and does not get them again has no call any more."""
        agent = self._floor.talked_with(call)
        if agent is not None and agent.state is AgentState.TALKING and call.wanted_agent != agent.agent_id:
            self._wrapping.begin(agent)

    async def _leave_lost_seat(self, call: Call) -> None:
        """The bridge found no seat: whatever is left of it is useless, the softphone is called again. Unless it talks with somebody else."""
        agent = self._floor.agents.get(call.agent_id) if call.agent_id else None
        seat = agent.seat if agent is not None else None
        if agent is None or seat is None or not self._is_kept_waiting(agent, seat, call):
            return
        peer = await self._seats.peer(seat)
        if not self._is_kept_waiting(agent, seat, call):
            return
        if not peer:
            self._seats.let_go(seat.channel_id)
            self._seats.is_gone(seat.channel_id, said_goodbye=False)
        elif (other := next((one for one in self._floor.calls.values() if one.channel == peer), None)) is not None:
            _log.warning("A call was promised to an agent who talks", agent_id=str(agent.agent_id))
            self._wrapping.found(agent, other)

    def _is_kept_waiting(self, agent: Agent, seat: Seat, call: Call) -> bool:
        reserved = agent.state is AgentState.RESERVED and agent.attempt_id == call.attempt_id
        return reserved and agent.seat is seat and call.wanted_agent != agent.agent_id

    def _release(self, agent: Agent | None, call: Call) -> None:
        """The customer left between the promise and the answer."""
        if agent is not None:
            self._agents.release(agent, call.attempt_id)

    def _need(self, call: Call) -> Need:
        return Need(project_id=call.project_id, only=call.wanted_agent)

    async def _find(self, channel_id: str) -> Call | None:
        call = self._floor.call_of(channel_id)
        if call is None and attempt_of_channel(channel_id) and not self.adopted.is_set():
            # We have just started: the call is ours, and is about to be adopted.
            try:
                async with asyncio.timeout(_ADOPTION_S):
                    await self.adopted.wait()
            except TimeoutError:
                pass
            call = self._floor.call_of(channel_id)
        if call is None:
            _log.warning("The dialplan asked about a call we do not know", channel_id=channel_id)
        return call

    async def _answered(self, session: AgiSession, request: AgiRequest) -> None:
        await self._tell(session, request, await self.answered(request.channel_id, request.arguments))

    async def _redirected(self, session: AgiSession, request: AgiRequest) -> None:
        await self._tell(session, request, await self.redirected(request.channel_id))

    async def _surveyed(self, session: AgiSession, request: AgiRequest) -> None:
        await self._tell(session, request, await self.surveyed(request.channel_id, request.arguments))

    async def _tell(self, session: AgiSession, request: AgiRequest, answer: Answer) -> None:
        if (call := self._floor.call_of(request.channel_id)) is not None:
            call.channel = request.channel
        if session.hung_up and answer.action is not Action.BRIDGE:
            return
        question = call.questions if call is not None else 0
        try:
            seat = {"WAIHU_SEAT": answer.seat} if answer.seat else {}
            await session.set_variables({**answer.variables, **seat, "WAIHU_ACTION": answer.action.value})
        except CommandOverdue:
            raise  # it may act on it all the same: then the bridge tells, otherwise the end of the call
        except AgiError:
            # The dialplan did not hear us: it goes to the safe harbour, and the agent must not wait for this customer.
            # (After a call was given up as it was answered it asks again.)
            if call is not None and answer.action is Action.BRIDGE and call.questions == question:
                call.waited_out = call.state is not CallState.ENDED and not call.canceled
                self._release(self._floor.agents.get(call.agent_id) if call.agent_id else None, call)
            raise

"""What an agent does with the customer on the line: hang up, hold, resume, transfer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, OutcomeUnknown
from dialer.domain.call_table import CallEvent
from dialer.domain.commands import Done, Transfer
from dialer.domain.errors import BadRequest, Conflict
from dialer.domain.states import AgentState, CallState
from dialer.engine.agents import Agents
from dialer.engine.calls import Calls
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Agent, Call, Floor
from dialer.engine.wrapping import Wrapping

_WITH_CALL = {AgentState.RESERVED, AgentState.TALKING}
_MOVING_S = (0.05, 0.2)  # pauses before another try


class Talking:
    """Acts on the customer's channel only; the dialplan does the rest. `on_unknown`: what became of a transfer must be found out."""

    def __init__(self, floor: Floor, agents: Agents, calls: Calls, wrapping: Wrapping, ami: AmiClient) -> None:
        self._floor = floor
        self._agents = agents
        self._calls = calls
        self._wrapping = wrapping
        self._ami = ami
        self.on_unknown: list[Callable[[], None]] = []

    async def hang_up(self, agent: Agent) -> Done:
        """End the call, also one that still rings. Errors: Conflict `no_call`."""
        call = call_in_hand(self._floor, agent, *CallState)
        call.canceled = call.answered_at is None
        call.end_by_agent = True
        with client_errors():
            await self._ami.send(actions.hangup(call.channel_id))
        return Done(state=agent.state.value, attempt_id=call.attempt_id)

    async def hold(self, agent: Agent) -> Done:
        """The customer hears music. Errors: Conflict `no_conversation`."""
        call = call_in_hand(self._floor, agent, CallState.BRIDGED)
        with client_errors():
            await self._redirect(call, "waihu-hold")
        self._calls.apply(call, CallEvent.HELD)
        return Done(state=agent.state.value, attempt_id=call.attempt_id)

    async def resume(self, agent: Agent) -> Done:
        """Back to the customer. Errors: Conflict `no_conversation`, `no_seat`."""
        call = call_in_hand(self._floor, agent, CallState.HELD)
        if not agent.seated:
            raise Conflict("no_seat", "Your softphone is not connected.")
        call.wanted_agent = agent.agent_id
        with client_errors():
            await self._redirect(call, "waihu-customer", "resume")
        return Done(state=agent.state.value, attempt_id=call.attempt_id)

    async def transfer(self, agent: Agent, command: Transfer) -> Done:
        """Give the customer to another agent who is ready. Errors: Conflict `agent_not_ready`, BadRequest `transfer_to_self`."""
        if command.to_agent_id == agent.agent_id:
            raise BadRequest("transfer_to_self", "Name another agent.")
        call = call_in_hand(self._floor, agent, CallState.BRIDGED, CallState.HELD)
        target = self._floor.agents.get(command.to_agent_id)
        if target is None or target.state is not AgentState.READY or not target.seated:
            raise Conflict("agent_not_ready", "That agent is not ready for a call.")
        self._agents.promise(target, call)
        call.wanted_agent = target.agent_id
        with client_errors():
            try:
                await self._redirect(call, "waihu-customer", "transferred")
            except (OutcomeUnknown, asyncio.CancelledError):
                # Perhaps the customer is on the way: their question, their end, or a look at the channels decides.
                call.fate_unknown = call.state is not CallState.ENDED
                for tell in self.on_unknown:
                    tell()
                raise
            except BaseException:
                if call.wanted_agent == target.agent_id and call.state is not CallState.ENDED:
                    call.wanted_agent = None
                    self._agents.take(agent, call)
                self._agents.release(target, call.attempt_id)
                raise
        self._calls.agent_changed(call)
        if agent.state is AgentState.TALKING and agent.attempt_id == call.attempt_id:
            self._wrapping.begin(agent)
        return Done(state=agent.state.value, attempt_id=call.attempt_id)

    async def _redirect(self, call: Call, context: str, priority: str = "1") -> None:
        """Lead the customer elsewhere. Asterisk refuses while it is still moving the channel for the redirect before: then a little later."""
        for pause_s in _MOVING_S:
            try:
                await self._ami.send(actions.redirect(call.channel_id, context=context, priority=priority))
            except ActionFailed:
                if call.state is CallState.ENDED:
                    raise
                await asyncio.sleep(pause_s)
            else:
                return
        await self._ami.send(actions.redirect(call.channel_id, context=context, priority=priority))


def call_in_hand(floor: Floor, agent: Agent, *states: CallState) -> Call:
    """The agent's call, in one of these states. Errors: Conflict `no_call`, `no_conversation`."""
    call = floor.call_of_agent(agent)
    if call is None or agent.state not in _WITH_CALL or call.agent_id != agent.agent_id:
        raise Conflict("no_call", "You have no call.")
    if call.state not in states:
        raise Conflict("no_conversation", f"The call is {call.state}; this cannot be done now.", state=call.state.value)
    return call

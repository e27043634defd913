"""The agents' nailed-up channels: the softphone is called once, stays up for the shift, and is called again when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.client import AmiClient
from dialer.asterisk.ami.errors import ActionFailed, AmiError, NotSent, OutcomeUnknown
from dialer.asterisk.ami.text import caller_id, pjsip_endpoint
from dialer.domain.agent_table import AgentEvent
from dialer.domain.ids import SEAT_PREFIX, seat_channel
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.clock import Clock
from dialer.engine.config import EngineConfig
from dialer.engine.floor import Agent, Floor, Seat
from dialer.engine.tasks import TaskSet

_log = structlog.get_logger(__name__)

_LEASE_LOOK_S = 0.1
_PEER_S = 0.3  # a customer waits for it
SEAT_CALLER = "100"  # shown on the softphone while it rings


class Seats:
    """Calls softphones, follows their channels."""

    def __init__(
        self,
        config: EngineConfig,
        floor: Floor,
        agents: Agents,
        ami: AmiClient,
        tasks: TaskSet,
        clock: Clock,
        lease_held: Callable[[], bool],
        nonce: Callable[[], str],
    ) -> None:
        self._config = config
        self._floor = floor
        self._agents = agents
        self._ami = ami
        self._tasks = tasks
        self._clock = clock
        self._lease_held = lease_held
        self._nonce = nonce
        agents.on_seat_needed.append(self.call_softphone)
        agents.on_logged_out.append(self.leave)

    def call_softphone(self, agent: Agent) -> None:
        """Begin to call; how it went comes by events. A seat that is still there is used."""
        if agent.seat is not None and agent.seat.up:
            self.is_up(agent, agent.seat.channel)
            return
        if agent.seat is not None:
            return  # already being called
        delay_s = self._config.seat_retry_s * agent.seat_failures
        seat = agent.seat = Seat(channel_id=seat_channel(agent.agent_id, self._nonce()))
        self._floor.seats[seat.channel_id] = agent
        self._tasks.spawn(f"seat {agent.agent_id}", self._originate(agent, seat, delay_s))

    def is_up(self, agent: Agent, channel: str) -> None:
        """The softphone answered (or the seat came back to its place)."""
        seat = agent.seat
        if seat is None:
            return
        seat.channel = channel or seat.channel
        first = not seat.up
        seat.up = True
        if not first and agent.state is not AgentState.SEATING:
            return
        agent.seat_failures = 0
        agent.seat_vanished = False
        if agent.state is AgentState.SEATING:
            self._agents.settle(agent)
        else:
            self._agents.changed(agent)

    def is_gone(self, channel_id: str, *, said_goodbye: bool) -> None:
        """The channel of a seat has ended: of one that was up, or that never came up."""
        agent = self._floor.seats.pop(channel_id, None)
        if agent is None or agent.seat is None or agent.seat.channel_id != channel_id:
            return
        was_up = agent.seat.up
        agent.seat = None
        agent.seat_vanished = not said_goodbye
        agent.seat_failures = 1 if was_up else agent.seat_failures + 1
        _log.info(
            "Seat lost", agent_id=str(agent.agent_id), was_up=was_up, said_goodbye=said_goodbye, state=agent.state
        )
        if agent.seat_failures >= self._config.seat_tries and agent.state is AgentState.SEATING:
            agent.reason = "seat_unreachable"
            _log.warning("The softphone cannot be reached, the agent is logged out", agent_id=str(agent.agent_id))
            self._agents.apply(agent, AgentEvent.LOGOUT)
        elif agent.state is AgentState.SEATING:
            self.call_softphone(agent)
        elif not self._agents.apply(agent, AgentEvent.SEAT_LOST):
            self._agents.changed(agent)

    def leave(self, agent: Agent) -> None:
        """Logged out: the softphone is let go."""
        seat, agent.seat = agent.seat, None
        if seat is not None:
            self._floor.seats.pop(seat.channel_id, None)
            self.let_go(seat.channel_id)

    def is_nobodys(self, channel_id: str) -> None:
        """A seat that nobody has came (back) to its place: Asterisk can lose a hang-up that meets a channel on its way out of a bridge."""
        if channel_id.startswith(SEAT_PREFIX) and self._lease_held():
            self.let_go(channel_id)

    async def peer(self, seat: Seat) -> str:
        """The channel a seat is bridged with; empty for none, and when Asterisk does not say."""
        try:
            answer = await self._ami.send(actions.get_variable(seat.channel_id, "BRIDGEPEER"), deadline_s=_PEER_S)
        except AmiError:
            return ""
        return answer.get("Value")

    def let_go(self, channel_id: str) -> None:
        """End a seat's channel, without waiting for it."""
        self._tasks.spawn(f"let go {channel_id}", self.hang_up(channel_id))

    async def hang_up(self, channel_id: str) -> None:
        """End a seat's channel; one that is gone already is fine."""
        try:
            await self._ami.send(actions.hangup(channel_id))
        except AmiError as error:
            _log.info("Seat could not be hung up", channel_id=channel_id, error_id=error.error_id)

    async def _originate(self, agent: Agent, seat: Seat, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while agent.seat is seat and not self._lease_held():  # noqa: ASYNC110 - ends with the engine
            await asyncio.sleep(_LEASE_LOOK_S)  # another engine may own the node: then the phone is not ours to call
        if agent.seat is not seat or agent.state is AgentState.LOGGED_OUT:
            return
        seat.asked_s = self._clock.monotonic()
        action = actions.originate(
            channel=pjsip_endpoint(agent.device_username),
            channel_id=seat.channel_id,
            context="waihu-seat",
            ring_timeout_s=self._config.seat_ring_s,
            caller_id=caller_id(SEAT_CALLER, "Waihu"),
            variables={},
        )
        try:
            await self._ami.send(action, action_id=seat.channel_id, deadline_s=self._config.action_deadline_s)
        except (NotSent, ActionFailed) as error:
            _log.warning("The softphone could not be called", agent_id=str(agent.agent_id), error_id=error.error_id)
            self.is_gone(seat.channel_id, said_goodbye=False)
        except OutcomeUnknown:
            pass  # reconciliation finds the channel or finds it gone

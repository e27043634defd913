"""Seats and agents against what Asterisk lists: news of a seat that was lost, agents held by calls that are over, seats of nobody."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from dialer.asterisk.ami.events import ChannelRow
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.floor import Floor
from dialer.engine.listing import YOUNG_S, Listing
from dialer.engine.metrics import Metrics
from dialer.engine.seats import Seats
from dialer.engine.wrapping import Wrapping

_PROMISE_S = 15.0  # a manual call that is being claimed


class SeatCheck:
    """Part of each round of reconciliation."""

    def __init__(self, floor: Floor, agents: Agents, seats: Seats, wrapping: Wrapping, metrics: Metrics) -> None:
        self._floor = floor
        self._agents = agents
        self._seats = seats
        self._wrapping = wrapping
        self._metrics = metrics

    def compare(self, listing: Listing) -> None:
        """Put right what differs."""
        for channel_id, agent in list(self._floor.seats.items()):
            seat = agent.seat
            if seat is None or seat.channel_id != channel_id:
                self._floor.seats.pop(channel_id, None)
                continue
            if (row := listing.seats.get(channel_id)) is not None:
                seat.channel = row.channel
                if row.state_name == "Up" and not seat.up and row.context == "waihu-seat":
                    self._seats.is_up(agent, row.channel)
            elif seat.asked_s and listing.asked_s - seat.asked_s > YOUNG_S:
                self._metrics.reconciled.labels(what="seat_gone").inc()
                self._seats.is_gone(channel_id, said_goodbye=False)
        for agent in list(self._floor.agents.values()):
            self._free_stuck(agent.agent_id, listing)
        strays = [row for channel_id, row in listing.seats.items() if channel_id not in self._floor.seats]
        if strays:
            self._hang_up_strays(strays)

    def _free_stuck(self, agent_id: UUID, listing: Listing) -> None:
        """A promise that came to nothing, a conversation whose end was not heard: the agent must not stay in it for ever."""
        agent = self._floor.agents[agent_id]
        if agent.state not in (AgentState.RESERVED, AgentState.TALKING):
            return
        call = self._floor.call_of_agent(agent)
        if call is not None and call.agent_id in (None, agent.agent_id):
            return
        row = listing.seats.get(agent.seat.channel_id) if agent.seat is not None else None
        if row is not None and row.bridge_id:
            return
        if listing.asked_s - agent.since_s < (YOUNG_S if agent.state is AgentState.TALKING else _PROMISE_S):
            return
        self._metrics.reconciled.labels(what="agent_freed").inc()
        if agent.state is AgentState.TALKING:
            self._wrapping.begin(agent)
        else:
            self._agents.settle(agent)

    def _hang_up_strays(self, strays: Iterable[ChannelRow]) -> None:
        """Seats of nobody who is logged in. One in a conversation is left until it is over."""
        for row in strays:
            if not row.bridge_id:
                self._metrics.reconciled.labels(what="stray_seat").inc()
                self._seats.let_go(row.channel_id)

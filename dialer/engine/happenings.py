"""What Asterisk says, to the calls and seats it is about. One reader, no task for an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from dialer.asterisk.ami.events import (
    BridgeEnter,
    BridgeLeave,
    Hangup,
    NewState,
    OriginateResponse,
    UserEvent,
    view,
)
from dialer.asterisk.ami.message import Event
from dialer.domain.call_table import CallEvent
from dialer.domain.ids import CALL_PREFIX, SEAT_PREFIX
from dialer.domain.states import CallState
from dialer.engine.calls import Calls
from dialer.engine.clock import Clock, dated
from dialer.engine.floor import Call, Floor
from dialer.engine.seats import Seats

NORMAL_CLEARING = 16
RING_TIMEOUT = 3  # the reason of an OriginateResponse
_HANG_UP_FOLLOWS_S = 1.0


class Happenings:
    """Applies AMI events. Events of channels that are not ours are passed over.

    `on_refusal_unheard`: Asterisk said that a call came to nothing, and its hang-up, which tells why, was not heard of.
    """

    def __init__(self, floor: Floor, calls: Calls, seats: Seats, clock: Clock) -> None:
        self._floor = floor
        self._calls = calls
        self._seats = seats
        self._clock = clock
        self.seen = 0
        self.on_refusal_unheard: list[Callable[[Call], None]] = []

    def apply(self, event: Event) -> None:
        """One event."""
        self.seen += 1
        match view(event):
            case NewState() as news:
                self._new_state(news, self._at(event))
            case Hangup() as news:
                self._hangup(news, self._at(event))
            case BridgeEnter() as news:
                if (call := self._floor.call_of(news.channel_id)) is not None:
                    call.bridge_id = news.bridge_id
                    if (news.channels_in_bridge or 0) >= 2:
                        self._calls.apply(call, CallEvent.BRIDGED, at=self._at(event))
                elif (agent := self._floor.seats.get(news.channel_id)) is not None:
                    self._seat_entered(news, self._floor.call_of_agent(agent), self._at(event))
            case BridgeLeave() as news:
                if (call := self._floor.call_of(news.channel_id)) is not None and call.bridge_id == news.bridge_id:
                    call.bridge_id = ""
            case UserEvent() as news:
                self._user_event(news)
            case OriginateResponse() as news:
                self._originate_response(news)
            case _:
                pass

    def _refused(self, call: Call) -> None:
        if call.state in (CallState.COMMITTED, CallState.ORIGINATING, CallState.RINGING):
            for tell in self.on_refusal_unheard:
                tell(call)

    def _at(self, event: Event) -> datetime:
        return dated(self._clock, event.get("Timestamp"))

    def _seat_entered(self, news: BridgeEnter, call: Call | None, at: datetime) -> None:
        if call is not None and (news.channels_in_bridge or 0) >= 2:
            call.bridge_id = news.bridge_id
            self._calls.apply(call, CallEvent.BRIDGED, at=at)

    def _new_state(self, news: NewState, at: datetime) -> None:
        if (call := self._floor.call_of(news.channel_id)) is not None:
            call.channel = news.channel
            if news.is_ringing:
                self._calls.apply(call, CallEvent.RINGING, at=at)
            elif news.is_up:
                self._calls.apply(call, CallEvent.ANSWERED, at=at)
        elif news.is_up and (agent := self._floor.seats.get(news.channel_id)) is not None and agent.seat is not None:
            agent.seat.channel = news.channel  # up when the dialplan says so: before that it cannot be bridged

    def _hangup(self, news: Hangup, at: datetime) -> None:
        if news.channel_id.startswith(CALL_PREFIX):
            if (call := self._floor.call_of(news.channel_id)) is not None:
                call.hangup_cause = news.cause
                call.sip_status = sip_status(news.tech_cause)
                self._calls.apply(call, CallEvent.HUNG_UP, at=at)
        elif news.channel_id.startswith(SEAT_PREFIX):
            self._seats.is_gone(news.channel_id, said_goodbye=news.cause == NORMAL_CLEARING)

    def _user_event(self, news: UserEvent) -> None:
        match news.name:
            case "WaihuSeat":
                if (agent := self._floor.seats.get(news.channel_id)) is not None:
                    self._seats.is_up(agent, news.channel)
                else:
                    self._seats.is_nobodys(news.channel_id)
            case "WaihuResult":
                call = self._floor.call_of(news.channel_id)
                if call is not None and news.headers.get("Result") in ("safe_harbour", "safe_harbour_played"):
                    call.waited_out = True
                elif call is not None and news.headers.get("Result") == "survey_played":
                    call.played = True
            case _:
                pass

    def _originate_response(self, news: OriginateResponse) -> None:
        channel_id = news.action_id if news.action_id.startswith((CALL_PREFIX, SEAT_PREFIX)) else news.channel_id
        if news.answered:
            return
        if (call := self._floor.call_of(channel_id)) is not None:
            # The hang-up, which knows the cause, follows; when none comes there never was a channel, or the event was lost.
            call.ring_timed_out = call.ring_timed_out or news.reason == RING_TIMEOUT
            asyncio.get_running_loop().call_later(_HANG_UP_FOLLOWS_S, self._refused, call)
        elif channel_id in self._floor.seats:
            self._seats.is_gone(channel_id, said_goodbye=False)


def sip_status(tech_cause: str) -> int | None:
    """The status in a `TechCause` like `SIP 486 Busy Here`, or None."""
    for word in tech_cause.replace("/", " ").split():
        if len(word) == 3 and word.isascii() and word.isdigit():
            return int(word)
    return None

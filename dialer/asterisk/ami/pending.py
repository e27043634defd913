"""Which answer belongs to which action. Pure: no clock, no futures.

`feed(message)` says what became of a message:
- `Settled`   it completes an action (a Response, or the last event of a list)
- `ABSORBED`  it is part of a list that goes on, or belongs to an action that nobody waits for any more
- `FOR_CONSUMER` it is an event for the consumer (also `OriginateResponse`, which carries an ActionID but answers nothing)
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum

from dialer.asterisk.ami.actions import Action
from dialer.asterisk.ami.errors import ActionFailed, AmiError, ListTooLong, TooManyPending
from dialer.asterisk.ami.message import Event, Response

ABANDONED_KEPT = 1_024


class Fate(Enum):
    """What became of a message that settles nothing."""

    ABSORBED = "absorbed"
    FOR_CONSUMER = "for consumer"


ABSORBED = Fate.ABSORBED
FOR_CONSUMER = Fate.FOR_CONSUMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Asterisk answered: the Response, and for a list its events in order (without the one that says Complete)."""

    response: Response
    events: tuple[Event, ...] = ()
    complete: Event | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An action that is over: by `answer`, or by an error that says what Asterisk refused."""

    action_id: str
    result: Answer | AmiError


@dataclass(slots=True)
class _Entry:
    action: Action
    is_list: bool
    max_events: int
    response: Response | None = None
    events: list[Event] = field(default_factory=list)
    overflowed: bool = False


class PendingActions:
    """The actions that were sent and not answered, at most `bound` of them."""

    def __init__(self, *, bound: int) -> None:
        self._bound = bound
        self._entries: dict[str, _Entry] = {}
        self._abandoned: OrderedDict[str, bool] = OrderedDict()
        self.stragglers = 0
        """Answers that came when nobody waited for them any more, or that name no action."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, action: Action, action_id: str, *, is_list: bool, max_events: int) -> None:
        """Wait for the answer to `action`. Errors: TooManyPending; ValueError when the id waits already."""
        if action_id in self._entries:
            raise ValueError(f"ActionID {action_id!r} waits for an answer already")
        if len(self._entries) >= self._bound:
            raise TooManyPending(self._bound)
        self._abandoned.pop(action_id, None)
        self._entries[action_id] = _Entry(action, is_list, max_events)

    def abandon(self, action_id: str) -> None:
        """Nobody waits for this answer any more; when it comes it is swallowed and counted."""
        entry = self._entries.pop(action_id, None)
        if entry is not None:
            self._abandon(action_id, is_list=entry.is_list)

    def abandon_all(self) -> dict[str, Action]:
        """The session is gone: what was waiting, by ActionID."""
        left = {action_id: entry.action for action_id, entry in self._entries.items()}
        self._entries.clear()
        return left

    def feed(self, message: Event | Response) -> Settled | Fate:
        """Sort one message."""
        action_id = message.action_id
        entry = self._entries.get(action_id) if action_id else None
        if isinstance(message, Response):
            return self._response(message, action_id, entry)
        if entry is None:
            return ABSORBED if self._is_late_list_event(message, action_id) else FOR_CONSUMER
        if entry.response is None:
            return FOR_CONSUMER
        return self._list_event(message, action_id, entry, entry.response)

    def _response(self, message: Response, action_id: str, entry: _Entry | None) -> Settled | Fate:
        if entry is None or entry.response is not None:
            self.stragglers += 1
            return ABSORBED
        if entry.is_list and message.ok and message.starts_list:
            entry.response = message
            return ABSORBED
        del self._entries[action_id]
        if message.ok:
            if not entry.is_list and message.starts_list:
                self._abandon(action_id, is_list=True)
            return Settled(action_id=action_id, result=Answer(response=message))
        if entry.is_list and entry.action.empty_list_message and message.message == entry.action.empty_list_message:
            return Settled(action_id=action_id, result=Answer(response=message))
        return Settled(action_id=action_id, result=ActionFailed(entry.action.name, message))

    def _list_event(self, message: Event, action_id: str, entry: _Entry, response: Response) -> Settled | Fate:
        how = message.get("EventList").lower()
        if how not in ("complete", "cancelled"):
            if not entry.overflowed:
                entry.events.append(message)
            if len(entry.events) > entry.max_events:
                entry.overflowed = True
                entry.events.clear()
            return ABSORBED
        del self._entries[action_id]
        if entry.overflowed:
            return Settled(action_id=action_id, result=ListTooLong(entry.action.name, entry.max_events))
        if how == "cancelled":
            return Settled(action_id=action_id, result=ActionFailed(entry.action.name, response))
        answer = Answer(response=response, events=tuple(entry.events), complete=message)
        return Settled(action_id=action_id, result=answer)

    def _abandon(self, action_id: str, *, is_list: bool) -> None:
        self._abandoned[action_id] = is_list
        if len(self._abandoned) > ABANDONED_KEPT:
            self._abandoned.popitem(last=False)

    def _is_late_list_event(self, message: Event, action_id: str) -> bool:
        if not action_id or not self._abandoned.get(action_id, False):
            return False
        self.stragglers += 1
        if message.get("EventList").lower() in ("complete", "cancelled"):
            self._abandoned.pop(action_id, None)
        return True

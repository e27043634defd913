"""The bounded queue between the AMI session and its one consumer.

The policy when the consumer is too slow: we never stop reading (Asterisk throws out a session that does not read) and we
never drop events in silence. The whole backlog is thrown away and one `Resync` takes its place; it says how much is missing
and how the session stands. The consumer then asks Asterisk what is there, exactly as after `Connected`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from dialer.asterisk.ami.errors import AmiError
from dialer.asterisk.ami.message import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A session is ready: ask what is there (events were missed before), then follow the events."""

    asterisk_version: str
    system_name: str
    session: int
    """Counts the sessions of this client, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The session is gone; actions without an answer have raised OutcomeUnknown. `is_final`: the client will not try again."""

    reason: AmiError
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """The consumer lagged: `dropped` items are missing here. Ask what is there, if `connected`."""

    dropped: int
    connected: Connected | None


Item = Event | Connected | Lost | Resync


class EventQueue:
    """Single consumer, single event loop."""

    def __init__(self, *, bound: int) -> None:
        self._bound = bound
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._state: Connected | None = None
        self._closed = False
        self.dropped = 0
        """Items thrown away since the start."""
        self.overflows = 0
        """How often the backlog was thrown away."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Add one item; when the queue is full the backlog is replaced by a Resync, and then comes the item."""
        if self._closed:
            return
        if isinstance(item, Connected):
            self._state = item
        elif isinstance(item, Lost):
            self._state = None
        if len(self._items) >= self._bound:
            self._overflow()
        self._items.append(item)
        self._ready.set()

    def close(self) -> None:
        """No more items; what is queued can still be taken."""
        self._closed = True
        self._ready.set()

    async def take(self, limit: int) -> list[Item]:
        """Wait for items, then give at most `limit` of them in order; an empty list means closed."""
        while not self._items:
            if self._closed:
                return []
            self._ready.clear()
            await self._ready.wait()
        items = self._items
        return [items.popleft() for _ in range(min(limit, len(items)))]

    def _overflow(self) -> None:
        missing = sum(item.dropped if isinstance(item, Resync) else 1 for item in self._items)
        fresh = sum(1 for item in self._items if not isinstance(item, Resync))
        self._items.clear()
        self.dropped += fresh
        self.overflows += 1
        self._items.append(Resync(dropped=missing, connected=self._state))

"""The live picture of the floor: a full state and numbered changes.

Each change carries `seq`, one more than the last, within an `epoch` (one run of an engine). A reader who finds a gap, or another
epoch, asks for the full state again. A reader who is too slow is told so by a gap notice and has to begin again: the floor never
waits for a screen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Change = dict[str, Any]
"""`{"epoch", "seq", "kind", "key", "value"}`; value None: gone. A gap notice is `{"epoch", "gap": True}`."""

KINDS = ("agent", "call", "project", "pacing", "node", "counters", "abandonment", "alarm", "caller_number")


class Subscription:
    """The changes since the subscription began, for one reader."""

    def __init__(self, epoch: str, bound: int) -> None:
        self._epoch = epoch
        self._bound = bound
        self._changes: deque[Change] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, change: Change) -> None:
        """Keep a change for the reader; a full queue becomes a gap notice."""
        if len(self._changes) >= self._bound:
            self._changes.clear()
            change = {"epoch": self._epoch, "gap": True}
        self._changes.append(change)
        self._ready.set()

    def close(self) -> None:
        """No more changes."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while not self._changes:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._changes.popleft()


class Feed:
    """The hub. `publish` is cheap and never waits."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.seq = 0
        self.gaps = 0
        self._state: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._subscriptions: set[Subscription] = set()
        self._taps: list[Callable[[Change], None]] = []

    def publish(self, kind: str, key: str, value: Mapping[str, Any] | None) -> None:
        """Say that something is so now, or (None) is no more. What is the same as before is not said again."""
        of_kind = self._state[kind]
        if of_kind.get(key) == value:
            return
        if value is None:
            del of_kind[key]
        else:
            of_kind[key] = value
        self.seq += 1
        if not self._subscriptions and not self._taps:
            return
        change: Change = {"epoch": self.epoch, "seq": self.seq, "kind": kind, "key": key, "value": value}
        for subscription in self._subscriptions:
            subscription.put(change)
        for tap in self._taps:
            tap(change)

    def snapshot(self) -> dict[str, Any]:
        """The full state at `seq`."""
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "state": {kind: dict(values) for kind, values in self._state.items()},
        }

    @asynccontextmanager
    async def subscribe(self, bound: int = 1000) -> AsyncIterator[Subscription]:
        """Follow the changes. Take the snapshot after this has begun; changes up to its `seq` are in it already."""
        subscription = Subscription(self.epoch, bound)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            subscription.close()

    def tap(self, listener: Callable[[Change], None]) -> None:
        """Have every change told to `listener`, which must not wait (the fan-out over Redis)."""
        self._taps.append(listener)

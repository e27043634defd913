"""Sound that was made for a listener, kept in memory for a while: a player asks for it range by range, and every range must be of the same file."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

_KEPT_BYTES: Final = 64 * 1024 * 1024


class MadeSound:
    """What was made lately, bounded; one is made at a time, so that listeners do not take the machine from the calls."""

    def __init__(self, *, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._turn = asyncio.Lock()

    async def of(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """The file of a key, made where it is not kept. The newest is kept however large it is. Raises what `make` raises."""
        async with self._turn:
            made = self._kept.get(key)
            if made is None:
                made = self._kept[key] = await make()
                self._bytes += len(made)
            self._kept.move_to_end(key)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return made

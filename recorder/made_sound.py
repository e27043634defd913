"""Sound that was made for a listener, kept in memory for a while: a player asks for it range by range, and every range must be of the same file."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final

_KEPT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file in memory."""

    content: bytes
    sha256: bytes


class MadeSound:
    """What was made lately, bounded; one is made at a time, so that listeners do not take the machine from the calls."""

    def __init__(self, *, most_bytes: int = _KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._bytes = 0
        self._turn = asyncio.Lock()

    async def of(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> Made:
        """The file of a key, made where it is not kept. The newest is kept however large it is. Raises what `make` raises."""
        async with self._turn:
            made = self._kept.get(key)
            if made is None:
                content = await make()
                sha256 = (await asyncio.to_thread(hashlib.sha256, content)).digest()
                made = self._kept[key] = Made(content=content, sha256=sha256)
                self._bytes += len(content)
            self._kept.move_to_end(key)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1].content)
        return made

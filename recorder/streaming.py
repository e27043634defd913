"""Reads what a plan of ranges says, never waiting for the disk in the event loop. A sealed file is opened on the way.

It is read by blocks, and what was read last stays in memory (`Blocks`): whoever listens jumps back and asks for the next range, and then nothing has to
be read or opened again. Where a block cannot be opened whole it is read chunk by chunk: damage takes away only the chunk that it is in, and what was not asked for nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Final

from recorder.errors import FileGone
from recorder.ranges import Span
from recorder.sealing import CHUNK_BYTES, Opener

BLOCK_BYTES: Final = 1024 * 1024
"""Read in one go; between two, other requests get their turn. A whole number of sealed chunks."""

KEPT_BYTES: Final = 128 * 1024 * 1024
_READ_AT_ONCE: Final[int] = getattr(os, "RWF_NOWAIT", 0)


class OpenFile:
    """The handle of an open master, what opens it where it is sealed, and the length of what is heard."""

    def __init__(self, handle: int, file_bytes: int, opener: Opener | None) -> None:
        self.handle = handle
        self.opener = opener
        self.content_bytes = file_bytes if opener is None else opener.content_bytes


class Blocks:
    """What was read last, up to `most_bytes` of it, the longest unused going first."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[OpenFile, int], memoryview] = OrderedDict()
        self._of: dict[OpenFile, set[int]] = {}
        self.bytes = 0

    def get(self, file: OpenFile, number: int) -> memoryview | None:
        """A block that is kept."""
        block = self._kept.get((file, number))
        if block is not None:
            self._kept.move_to_end((file, number))
        return block

    def keep(self, file: OpenFile, number: int, block: memoryview) -> None:
        """Keep it, until others need the room or the file is forgotten."""
        if (file, number) in self._kept:  # read by two at once
            return
        self._kept[file, number] = block
        self._of.setdefault(file, set()).add(number)
        self.bytes += len(block)
        while self.bytes > self._most_bytes:
            self._drop(*next(iter(self._kept)))

    def forget(self, file: OpenFile) -> None:
        """Let go of all of a file."""
        for number in list(self._of.get(file, ())):
            self._drop(file, number)

    def _drop(self, file: OpenFile, number: int) -> None:
        self.bytes -= len(self._kept.pop((file, number)))
        self._of[file].discard(number)
        if not self._of[file]:
            del self._of[file]


class OpenRecording:
    """An open master that is read span by span."""

    def __init__(self, file: OpenFile, blocks: Blocks) -> None:
        self._file = file
        self._blocks = blocks

    async def chunks(self, parts: tuple[bytes | Span, ...]) -> AsyncGenerator[bytes | memoryview]:
        """The body of a plan. Raises FileGone when the file has become shorter meanwhile, or is not what was sealed."""
        begun = False
        for part in parts:
            if isinstance(part, bytes):
                yield part
                continue
            at = part.start
            while at < part.stop:
                if begun:
                    await asyncio.sleep(0)  # others get their turn
                begun = True
                chunk = await self._chunk(at, part.stop)
                yield chunk
                at += len(chunk)

    async def _chunk(self, at: int, stop: int) -> memoryview:
        """From `at` up to `stop`, or as much of it as is read in one go. Never empty."""
        number, within = divmod(at, BLOCK_BYTES)
        start = number * BLOCK_BYTES
        block = self._blocks.get(self._file, number)
        if block is None:
            try:
                block = await self._read(start, min(start + BLOCK_BYTES, self._file.content_bytes))
            except FileGone:
                return await self._read(at, min(stop, (at // CHUNK_BYTES + 1) * CHUNK_BYTES), short=True)
            self._blocks.keep(self._file, number, block)
        return block[within : stop - start]

    async def _read(self, start: int, stop: int, *, short: bool = False) -> memoryview:
        """The content of a span; `short`: or as much of it as is there."""
        opener = self._file.opener
        if opener is None:
            return await self._bytes(start, stop, short=short)
        stretch = opener.stretch(start, stop)
        sealed = await self._bytes(stretch.start, stretch.stop)
        return opener.open_into(stretch, sealed, memoryview(bytearray(len(sealed))))

    async def _bytes(self, start: int, stop: int, *, short: bool = False) -> memoryview:
        """At once what is in memory; a thread waits for what is on the disk."""
        room, got = memoryview(bytearray(stop - start)), 0
        while got < len(room):
            rest, now = room[got:], 0
            if _READ_AT_ONCE:
                try:
                    now = os.preadv(self._file.handle, [rest], start + got, _READ_AT_ONCE)
                except OSError:  # EAGAIN: it would wait; or a file system that cannot tell
                    now = 0
            now = now or await asyncio.to_thread(os.preadv, self._file.handle, [rest], start + got)
            got += now
            if not now:
                if short and got:
                    return room[:got]
                raise FileGone(
                    "recording_file_torn",
                    "The stored file has become shorter than its ledger row says: check the disk.",
                )
        return room

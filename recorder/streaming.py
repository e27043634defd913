"""Reads what a plan of ranges says, never waiting for the disk in the event loop. A sealed file is opened on the way, and of it only the chunks that hold
what was asked for.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from recorder.errors import FileGone
from recorder.ranges import Span
from recorder.sealing import CHUNK_BYTES as SEALED_CHUNK_BYTES
from recorder.sealing import HEAD_BYTES, STRIDE, Opener, Seal

CHUNK_BYTES: Final = 256 * 1024
"""Read in one go; between two, other requests get their turn."""

_SEALED_BYTES: Final = CHUNK_BYTES // SEALED_CHUNK_BYTES * STRIDE
_READ_AT_ONCE: Final[int] = getattr(os, "RWF_NOWAIT", 0)


def _never() -> bool:
    return False


class OpenRecording:
    """An open master that is read span by span, never waiting for the disk in the event loop."""

    def __init__(self, handle: int, opener: Opener | None = None) -> None:
        self._handle = handle
        self._opener = opener
        self._sealed = memoryview(bytearray(_SEALED_BYTES if opener else 0))

    async def chunks(
        self, parts: tuple[bytes | Span, ...], *, taken: Callable[[], bool] = _never
    ) -> AsyncIterator[bytes | memoryview]:
        """The body of a plan. Where `taken` says that nobody refers to what was given out before, the next chunk is read into the same memory.

        Raises FileGone when the file has become shorter meanwhile, or is not what was sealed.
        """
        room = memoryview(b"")
        for part in parts:
            if isinstance(part, bytes):
                yield part
                continue
            at = part.start
            while at < part.stop:
                if not room or not taken():
                    room = memoryview(bytearray(CHUNK_BYTES))
                chunk = await (
                    self._plain(at, part.stop, room)
                    if self._opener is None
                    else self._opened(self._opener, at, part.stop, room)
                )
                yield chunk
                at += len(chunk)

    async def _plain(self, at: int, stop: int, room: memoryview) -> memoryview:
        wanted = room[: min(CHUNK_BYTES, stop - at)]
        return wanted[: await self._read(wanted, at)]

    async def _opened(self, opener: Opener, at: int, stop: int, room: memoryview) -> memoryview:
        """Up to the end of the last sealed chunk of a buffer."""
        stretch = opener.stretch(
            at, min(stop, (at // SEALED_CHUNK_BYTES + CHUNK_BYTES // SEALED_CHUNK_BYTES) * SEALED_CHUNK_BYTES)
        )
        wanted, got = self._sealed[: stretch.stop - stretch.start], 0
        while got < len(wanted):
            got += await self._read(wanted[got:], stretch.start + got)
        return opener.open_into(stretch, wanted, room)

    async def _read(self, wanted: memoryview, at: int) -> int:
        """At once what is in memory; a thread waits for what is on the disk. Never 0."""
        got = 0
        if _READ_AT_ONCE:
            try:
                got = os.preadv(self._handle, [wanted], at, _READ_AT_ONCE)
            except OSError:  # EAGAIN: it would wait; or a file system that cannot tell
                got = 0
            if got:
                await asyncio.sleep(0)  # others get their turn
                return got
        got = await asyncio.to_thread(os.preadv, self._handle, [wanted], at)
        if not got:
            raise FileGone(
                "recording_file_torn",
                "The stored file has become shorter than its ledger row says: check the disk.",
            )
        return got


class OpenFiles:
    """Masters of the store that are being listened to. One stays open for a while after a range of it was sent, because a player asks for the next one soon.

    Closed are, the longest unused first, those beyond `most` (0: none stays open), and all by `close`.
    """

    def __init__(self, *, most: int = 128, idle_s: float = 30.0) -> None:
        self._most = most
        self._idle_s = idle_s
        self._files: OrderedDict[tuple[Path, int, Seal | None], _Shared] = OrderedDict()

    @asynccontextmanager
    async def of(self, path: Path, size: int, seal: Seal | None = None) -> AsyncIterator[OpenRecording]:
        """Open a master of `size` bytes in the store for streaming.

        Raises FileGone, before anything has been sent, when the store does not hold this file.
        """
        which = (path, size, seal)
        file = self._files.get(which)
        if file is None:
            file = _Shared(*await asyncio.to_thread(_open, path, size, seal))
            if which in self._files:  # another request was faster
                os.close(file.handle)
                file = self._files[which]
            self._files[which] = file
        self._files.move_to_end(which)
        file.take()
        try:
            yield OpenRecording(file.handle, file.opener)
        except FileGone:
            self._forget(which)  # it may be mended meanwhile
            raise
        finally:
            file.give_back(self._idle_s, lambda: self._forget(which, file))
            while len(self._files) > self._most:
                self._forget(next(iter(self._files)))

    def close(self) -> None:
        """Let go of all; what is being sent is sent to its end."""
        for which in list(self._files):
            self._forget(which)

    def _forget(self, which: tuple[Path, int, Seal | None], only: _Shared | None = None) -> None:
        file = self._files.get(which)
        if file is not None and (only is None or file is only):
            del self._files[which]
            file.retire()


class _Shared:
    """An open file, and how many requests read it."""

    def __init__(self, handle: int, opener: Opener | None) -> None:
        self.handle = handle
        self.opener = opener
        self._readers = 0
        self._retired = False
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> None:
        """One more reads."""
        self._readers += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_back(self, idle_s: float, forget: Callable[[], None]) -> None:
        """One less; the last one starts the time after which it is forgotten."""
        self._readers -= 1
        if self._readers:
            return
        if self._retired:
            os.close(self.handle)
        else:
            self._timer = asyncio.get_running_loop().call_later(idle_s, forget)

    def retire(self) -> None:
        """Close it, now or when the last reader is done."""
        self._retired = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._readers:
            os.close(self.handle)


def _open(path: Path, size: int, seal: Seal | None) -> tuple[int, Opener | None]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        message = f"The stored file cannot be opened ({error.strerror}): is the store mounted? Restore the file if it is lost."
        raise FileGone("recording_file_gone", message) from error
    try:
        if os.fstat(handle).st_size != size:
            raise FileGone(
                "recording_file_torn",
                "The stored file is not as long as its ledger row says: check the disk, restore the file.",
            )
        if seal is None:
            return handle, None
        opener = Opener(seal, size)
        opener.check_head(os.pread(handle, HEAD_BYTES, 0))
    except BaseException:
        os.close(handle)
        raise
    return handle, opener

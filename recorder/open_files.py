"""Masters of the store that are being listened to, open for as long as ranges of them are asked for."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from recorder.errors import FileGone
from recorder.sealing import HEAD_BYTES, Opener, Seal
from recorder.streaming import KEPT_BYTES, Blocks, OpenFile, OpenRecording


class OpenFiles:
    """One stays open for a while after a range of it was sent, and what was heard of it in memory, because a player asks for the next one soon.

    Closed are, the longest unused first, those beyond `most` (0: none stays open), and all by `close`. At most `kept_bytes` are kept of all together.
    """

    def __init__(self, *, most: int = 128, idle_s: float = 30.0, kept_bytes: int = KEPT_BYTES) -> None:
        self._most = most
        self._idle_s = idle_s
        self._files: OrderedDict[tuple[Path, int, Seal | None], _Shared] = OrderedDict()
        self.blocks = Blocks(kept_bytes)

    @asynccontextmanager
    async def of(self, path: Path, size: int, seal: Seal | None = None) -> AsyncIterator[OpenRecording]:
        """Open a master of `size` bytes in the store for streaming.

        Raises FileGone, before anything has been sent, when the store does not hold this file.
        """
        which = (path, size, seal)
        shared = self._files.get(which)
        if shared is None:
            shared = _Shared(await asyncio.to_thread(_open, path, size, seal))
            if which in self._files:  # another request was faster
                os.close(shared.file.handle)
                shared = self._files[which]
            self._files[which] = shared
        self._files.move_to_end(which)
        shared.take()
        try:
            yield OpenRecording(shared.file, self.blocks)
        except FileGone:
            self._forget(which)  # it may be mended meanwhile
            raise
        finally:
            if shared.give_back(self._idle_s, lambda: self._forget(which, shared)):
                self.blocks.forget(shared.file)
            while len(self._files) > self._most:
                self._forget(next(iter(self._files)))

    def close(self) -> None:
        """Let go of all; what is being sent is sent to its end."""
        for which in list(self._files):
            self._forget(which)

    def _forget(self, which: tuple[Path, int, Seal | None], only: _Shared | None = None) -> None:
        shared = self._files.get(which)
        if shared is not None and (only is None or shared is only):
            del self._files[which]
            if shared.retire():
                self.blocks.forget(shared.file)


class _Shared:
    """An open file, and how many requests read it."""

    def __init__(self, file: OpenFile) -> None:
        self.file = file
        self._readers = 0
        self._retired = False
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> None:
        """One more reads."""
        self._readers += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_back(self, idle_s: float, forget: Callable[[], None]) -> bool:
        """One less; the last one starts the time after which it is forgotten, or closes it: True."""
        self._readers -= 1
        if self._readers:
            return False
        if self._retired:
            os.close(self.file.handle)
            return True
        self._timer = asyncio.get_running_loop().call_later(idle_s, forget)
        return False

    def retire(self) -> bool:
        """Close it, now (True) or when the last reader is done."""
        self._retired = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._readers:
            return False
        os.close(self.file.handle)
        return True


def _open(path: Path, size: int, seal: Seal | None) -> OpenFile:
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
            return OpenFile(handle, size, None)
        opener = Opener(seal, size)
        opener.check_head(os.pread(handle, HEAD_BYTES, 0))
    except BaseException:
        os.close(handle)
        raise
    return OpenFile(handle, size, opener)

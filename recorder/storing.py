"""Putting a finished master into the store, and reading it back. Blocking; called in a thread."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Final

from recorder.errors import StoreRefused
from recorder.spool import sync_directory

_BLOCK_BYTES: Final = 1024 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def refusal(error: OSError) -> StoreRefused:
    """What a failed write into the store means."""
    if error.errno in _FULL:
        return StoreRefused("store_full", "The recordings store is full: make room; the calls wait in the spool.")
    return StoreRefused(
        "store_unwritable", f"The recordings store cannot be written ({error.strerror}): the calls wait in the spool."
    )


def put_in_place(part: Path, final: Path) -> None:
    """Give a durable file its name."""
    part.replace(final)


class NewNames:
    """Makes new names durable, and once the folders above them that were made for them."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._last: Path | None = None

    def sync(self, folder: Path) -> None:
        """Sync a folder that has a new name in it; the folders above it when it is not the one of the last call."""
        sync_directory(folder)
        above = folder
        while folder != self._last and above != self._store and self._store in above.parents:
            above = above.parent
            sync_directory(above)
        self._last = folder


def holds(path: Path, *, size: int, sha256: bytes) -> bool:
    """Read a stored file back from the medium and compare it with the ledger."""
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size != size:
                return False
            # Else we would be told what is in memory, not what is on the disk.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            found = hashlib.sha256()
            while block := file.read(_BLOCK_BYTES):
                found.update(block)
    except FileNotFoundError:
        return False
    return found.digest() == sha256

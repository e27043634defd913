"""One engine for a node on this machine, and no waiting for the lease of one that is proved dead.

The engine holds a file lock in the node's spool directory from before it takes the lease until its process ends, however it ends; the kernel
sees to that. The file names its run. So who gets the lock knows that the run named there is dead, and may give back its lease at once. An
engine on another machine has another spool: there only the lease's end counts.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from uuid import UUID

import structlog

from dialer.db import nodes
from dialer.db.pool import Pool
from dialer.domain.errors import Conflict, Unavailable

log = structlog.get_logger(__name__)

_LONGEST = 64


class Succession:
    """The lock of one node. `take` it before the engine starts, `release` it when the engine has stopped."""

    def __init__(self, spool_dir: Path, node: str) -> None:
        self._path = spool_dir / f".engine-{node}"
        self._descriptor: int | None = None

    async def take(self, pool: Pool, node: str, run_id: UUID) -> None:
        """Be the node's only engine here. Errors: Conflict `node_taken`; Unavailable `spool_refused`; those of a database that is away."""
        self._lock(node)
        dead = self._named()
        if dead is not None:
            async with pool.acquire() as connection:
                await nodes.release(connection, node, dead)
            log.info("Following an engine that has died", node=node, run=str(dead))
        self._write(str(run_id))

    def release(self) -> None:
        """The engine has stopped in an orderly way: nothing to follow."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, node: str) -> None:
        if self._descriptor is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise Unavailable(
                "spool_refused",
                f"{self._path} cannot be written ({error.strerror}): check WAIHU_SPOOL_DIR and its rights.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Conflict(
                "node_taken",
                f"Another engine for node {node} runs on this machine: stop it first, or give this one another node and spool.",
                node=node,
            ) from error
        self._descriptor = descriptor

    def _named(self) -> UUID | None:
        assert self._descriptor is not None  # noqa: S101  # _lock was there
        try:
            return UUID(os.pread(self._descriptor, _LONGEST, 0).decode("ascii").strip())
        except ValueError:
            return None

    def _write(self, text: str) -> None:
        assert self._descriptor is not None  # noqa: S101  # _lock was there
        os.pwrite(self._descriptor, text.encode("ascii").ljust(_LONGEST), 0)
        os.fsync(self._descriptor)

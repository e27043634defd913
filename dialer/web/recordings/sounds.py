"""Recordings that can be heard, and who listens by a link. Both are remembered for a while, because a player asks for range after range.

What is remembered lets nobody hear anything: `hearing.note` asks with every audit row whether it still holds, and without the row nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar
from uuid import UUID

from dialer.db import hearing, people
from dialer.db.hearing import SoundRow
from dialer.domain.errors import Conflict, NotAllowed, NotFound
from dialer.domain.roles import Role
from dialer.web.deps import WebDeps
from dialer.web.identity import Identity
from dialer.web.roles import LISTENERS
from recorder.file_keys import ProjectKey, destroyed
from recorder.paths import locate
from recorder.sealing import Seal

KEEP_S = 60.0
MOST = 500
ACQUIRE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A recording that can be heard: its file, what opens it, and the length and hash of what is heard."""

    row: SoundRow
    path: Path
    seal: Seal | None
    file_bytes: int
    size: int
    sha256: bytes
    fresh: bool  # read from the database for this request


Value = TypeVar("Value")


class _Remembered(Generic[Value]):
    """The newest values, for a while."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, tuple[float, Value]] = OrderedDict()

    def get(self, key: UUID) -> Value | None:
        """None: not remembered (any more)."""
        kept = self._kept.get(key)
        if kept is None or kept[0] < asyncio.get_running_loop().time():
            return None
        return kept[1]

    def put(self, key: UUID, value: Value) -> None:
        """Remember it."""
        self._kept.pop(key, None)
        self._kept[key] = (asyncio.get_running_loop().time() + KEEP_S, value)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


class Sounds:
    """Looks them up."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._sounds: _Remembered[Sound] = _Remembered()
        self._listeners: _Remembered[Identity] = _Remembered()

    async def of(self, recording_id: UUID, *, fresh: bool) -> Sound:
        """What can be heard of a recording. Errors: NotFound, Conflict `recording_not_stored`, KeysRefused."""
        if not fresh and (kept := self._sounds.get(recording_id)):
            return kept
        async with self._deps.pool.acquire(timeout=ACQUIRE_S) as conn:
            row = await hearing.sound(conn, recording_id)
        if row is None:
            raise unknown()
        if row.state != "stored" or row.path is None or row.sha256 is None or row.bytes is None:
            raise Conflict(
                "recording_not_stored",
                "There is no sound of this call (yet): its state says why.",
                state=row.state,
                reason=row.reason,
            )
        seal = None
        if row.key_id is not None and row.key_master is not None:
            if row.wrapped_key is None:
                raise destroyed()
            project_key = ProjectKey(id=row.key_id, master=row.key_master, wrapped=row.key_wrapped)
            seal = await self._deps.file_keys.opened(row.attempt_id, row.wrapped_key, project_key)
        path = locate(self._deps.store_dir, row.path)
        size, sha256 = row.content_bytes or row.bytes, row.content_sha256 or row.sha256
        found = Sound(row=row, path=path, seal=seal, file_bytes=row.bytes, size=size, sha256=sha256, fresh=True)
        self._sounds.put(recording_id, replace(found, fresh=False))
        return found

    async def listener(self, user_id: UUID, *, fresh: bool) -> Identity:
        """In whose name a link is heard. Errors: NotAllowed `link_invalid` where they may not listen (any more)."""
        if not fresh and (kept := self._listeners.get(user_id)):
            return kept
        async with self._deps.pool.acquire(timeout=ACQUIRE_S) as conn:
            user = await people.one(conn, user_id)
        if user is None or user.disabled_at is not None or Role(user.role) not in LISTENERS:
            raise NotAllowed("link_invalid", "Whoever made this link may not listen any more: ask somebody who may.")
        found = Identity(
            user_id=user.id, login=user.login, display_name=user.display_name, role=Role(user.role), agent_id=None
        )
        self._listeners.put(user_id, found)
        return found


def unknown() -> NotFound:
    """What is said where there is none."""
    return NotFound("recording_unknown", "There is no such recording.")

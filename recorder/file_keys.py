"""Keys of projects and of files, as the database keeps them: wrapped, each under the one above it.

master key (key file) → key of a project → key of a file. The wrapped key of a file lies in its ledger row, not in the file; and, once it is on a
volume, beside its row there, under a key of the archive (`archive.erasing`). Where both are destroyed, every copy of the file is unreadable for ever.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from recorder.errors import KeysRefused
from recorder.keyring import Keyring, KeySource, name_of, unwrap, wrap
from recorder.sealing import KEY_BYTES, Seal

if TYPE_CHECKING:
    from recorder.ledger import Conn

_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A file's key as its ledger row holds it."""

    project_key_id: UUID
    wrapped: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectKey:
    """A project's key as the database holds it. `wrapped` is None where it was destroyed."""

    id: UUID
    master: str
    wrapped: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostKey:
    """What is left of a project's key where the ledger was lost."""

    id: UUID
    project_id: UUID
    created_at: datetime
    retired_at: datetime | None
    destroyed: bool


class FileKeys:
    """Makes and opens keys of files. The master keys are read when first needed, and again when one is asked for that was not there."""

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._ring: Keyring | None = None

    async def ring(self) -> Keyring:
        """The master keys. Raises KeysRefused."""
        if self._ring is None:
            self._ring = await asyncio.to_thread(self._source.load)
        return self._ring

    def forget(self) -> None:
        """Read the master keys again when they are next needed."""
        self._ring = None

    async def prepare(self, conn: Conn, *, at: datetime) -> bool:
        """Make the first key file of an installation where there is none and nothing was ever sealed; True where it was made.

        Raises KeysRefused where keys were in use and are not here now.
        """
        try:
            await self.ring()
        except KeysRefused as error:
            if error.error_id != "recording_keys_missing" or await conn.fetchval(_EVER):
                raise
            await asyncio.to_thread(self._source.make, name_of(at))
            await self.ring()
            return True
        return False

    async def wrap(self, conn: Conn, project_id: UUID, seal: Seal, *, at: datetime) -> WrappedKey:
        """Wrap a file's key under its project's, which is made where there is none. Raises KeysRefused."""
        key_id, key = await self._of_project(conn, project_id, at)
        return WrappedKey(project_key_id=key_id, wrapped=wrapped_under(key, seal))

    async def seal(self, conn: Conn, attempt_id: UUID, key: WrappedKey) -> Seal:
        """Open a file's key. Raises KeysRefused."""
        row = await conn.fetchrow(_PROJECT_KEY, key.project_key_id)
        if row is None:
            raise destroyed()
        return await self.opened(attempt_id, key.wrapped, ProjectKey(**row))

    async def opened(self, attempt_id: UUID, wrapped: bytes, project_key: ProjectKey) -> Seal:
        """Open a file's key where its project's is at hand. Raises KeysRefused."""
        if project_key.wrapped is None:
            raise destroyed()
        key = await self._unwrap(project_key.id, project_key.master, project_key.wrapped)
        return unwrapped(key, attempt_id, wrapped)

    async def _of_project(self, conn: Conn, project_id: UUID, at: datetime) -> tuple[UUID, bytes]:
        for _ in range(_TRIES):
            row = await conn.fetchrow(_CURRENT, project_id)
            if row is not None:
                return row["id"], await self._unwrap(row["id"], row["master"], row["wrapped"])
            ring, key_id = await self.ring(), uuid4()
            wrapped = ring.wrap(secrets.token_bytes(KEY_BYTES), _of_project(key_id))
            await conn.execute(_MAKE, key_id, project_id, ring.current, wrapped, at)  # another process may be faster
        raise KeysRefused("recording_project_key_missing", "This project has no key and gets none: is it there?")

    async def _unwrap(self, key_id: UUID, master: str, wrapped: bytes) -> bytes:
        ring = await self.ring()
        if master not in ring.keys:
            self.forget()  # the file may have been added to since
            ring = await self.ring()
        return ring.unwrap(master, wrapped, _of_project(key_id))

    async def of_project(self, conn: Conn, project_id: UUID) -> dict[UUID, bytes]:
        """The keys of a project that were not destroyed, opened, by their ids. Raises KeysRefused."""
        rows = await conn.fetch(_OF_PROJECT, project_id)
        return {row["id"]: await self._unwrap(row["id"], row["master"], row["wrapped"]) for row in rows}

    async def adopt(self, conn: Conn, keys: Sequence[LostKey], *, at: datetime) -> None:
        """Make keys anew in the place of some that the ledger has lost: same ids, so that what was under them can be wrapped again. Raises KeysRefused."""
        ring = await self.ring()
        for key in keys:
            wrapped = None if key.destroyed else ring.wrap(secrets.token_bytes(KEY_BYTES), _of_project(key.id))
            await conn.execute(
                _ADOPT, key.id, key.project_id, ring.current, wrapped, key.created_at, key.retired_at, at
            )

    async def rotate(self, conn: Conn, *, at: datetime) -> tuple[str, int]:
        """Add a master key and wrap every project's key under it; also gives each project a new key for what comes. In a transaction of the caller.

        Returns the name of the new master key and how many keys were wrapped anew. Files are not touched. Raises KeysRefused.
        """
        name = name_of(at)
        await asyncio.to_thread(self._source.add, name)
        self.forget()
        return name, await self.rewrap(conn, at=at)

    async def rewrap(self, conn: Conn, *, at: datetime) -> int:
        """Wrap every project's key under the current master key, and retire them: what comes gets new ones. Returns how many there were."""
        ring, count = await self.ring(), 0
        for row in await conn.fetch(_NOT_UNDER, ring.current):
            key = ring.unwrap(row["master"], row["wrapped"], _of_project(row["id"]))
            await conn.execute(_REWRAP, row["id"], ring.current, ring.wrap(key, _of_project(row["id"])), at)
            count += 1
        return count


_IN_USE = "select distinct master from recording_project_keys where wrapped is not null"


async def masters_in_use(conn: Conn) -> set[str]:
    """Names of the master keys without which something sealed cannot be opened."""
    return {row["master"] for row in await conn.fetch(_IN_USE)}


_EVER = "select exists (select from recording_project_keys)"
_PROJECT_KEY = "select id, master, wrapped from recording_project_keys where id = $1"
_CURRENT = """
select id, master, wrapped from recording_project_keys where project_id = $1 and retired_at is null and wrapped is not null
"""
_MAKE = """
insert into recording_project_keys (id, project_id, master, wrapped, created_at) values ($1, $2, $3, $4, $5) on conflict do nothing
"""
_OF_PROJECT = "select id, master, wrapped from recording_project_keys where project_id = $1 and wrapped is not null"
# Where the project got another key meanwhile, that one stays in use.
_ADOPT = """
insert into recording_project_keys (id, project_id, master, wrapped, created_at, retired_at)
select $1, $2, $3, $4, $5, coalesce($6, case when exists (
    select from recording_project_keys where project_id = $2 and retired_at is null and id <> $1) then $7::timestamptz end)
on conflict do nothing
"""
_NOT_UNDER = """
select id, master, wrapped from recording_project_keys where master <> $1 and wrapped is not null order by id for update
"""
_REWRAP = """
update recording_project_keys set master = $2, wrapped = $3, retired_at = coalesce(retired_at, $4) where id = $1
"""

_DESTROY = """
update recordings set wrapped_key = null, key_destroyed_at = $2
where id = any($1) and project_key_id is not null and wrapped_key is not null
"""


async def destroy(conn: Conn, recording_ids: Sequence[UUID], *, at: datetime) -> int:
    """Destroy the keys of recordings in the ledger. How many had one. In the transaction that notes why; what discs hold is `ArchiveKeys.erase`'s."""
    return int((await conn.execute(_DESTROY, list(recording_ids), at)).rpartition(" ")[2])


_DESTROY_PROJECT_KEYS = """
update recording_project_keys set wrapped = null, retired_at = coalesce(retired_at, $2) where project_id = $1 and wrapped is not null
"""
_DESTROY_OF_PROJECT = """
update recordings set wrapped_key = null, key_destroyed_at = $2 where project_id = $1 and project_key_id is not null and wrapped_key is not null
"""


async def destroy_of_project(conn: Conn, project_id: UUID, *, at: datetime) -> int:
    """Destroy a project's keys and those of its recordings. How many recordings had one. In the transaction that notes why."""
    await conn.execute(_DESTROY_PROJECT_KEYS, project_id, at)
    return int((await conn.execute(_DESTROY_OF_PROJECT, project_id, at)).rpartition(" ")[2])


def wrapped_under(project_key: bytes, seal: Seal) -> bytes:
    """A file's key under its project's, as its ledger row holds it."""
    return wrap(project_key, seal.key, _of_file(seal.attempt_id))


def unwrapped(project_key: bytes, attempt_id: UUID, wrapped: bytes) -> Seal:
    """The other way round. Raises KeysRefused."""
    return Seal(attempt_id=attempt_id, key=unwrap(project_key, wrapped, _of_file(attempt_id)))


def destroyed() -> KeysRefused:
    """What is said where a key is gone for good."""
    return KeysRefused(
        "recording_key_destroyed",
        "The key of this recording was destroyed: it was erased by law or order, and nobody can open it.",
    )


def _of_project(key_id: UUID) -> str:
    return f"project key {key_id.hex}"


def _of_file(attempt_id: UUID) -> str:
    return f"file key {attempt_id.hex}"

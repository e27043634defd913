"""The archive's key file: what opens recordings that only discs have, and what of them is erased though no disc can be changed.

It holds a key tree (`key_tree`), wrapped by the master key. The key of each recording on a volume is wrapped under its leaf and lies beside its row on the
volume; erasing a recording takes its leaf out of the tree. So volumes, this file and the master keys give everything back but what was erased.

A copy of the file that is older opens no less: it is made once and then only loses. What it does not know is what was erased since.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from recorder.archive.key_tree import SECRET_BYTES, KeyTree, Place, of_recording, of_volume
from recorder.errors import ArchiveError, Damaged, KeysRefused
from recorder.file_keys import FileKeys
from recorder.keyring import Keyring
from recorder.spool import sync_directory

if TYPE_CHECKING:
    from recorder.ledger import Conn

_AT_ONCE: Final = 2000
_PURPOSE: Final = "archive key tree"
_SAYS: Final = "# Opens recordings that only archive discs have. Keep a copy off this machine, and replace it after each deletion: docs/discs.md."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveKeys:
    """The file at `path`, opened and written with the master keys. One at a time changes it (a lock beside it)."""

    path: Path
    keys: FileKeys

    async def prepare(self, conn: Conn, *, at: datetime) -> None:
        """Make the file where no volume needs one yet, and the master keys as `FileKeys.prepare`.

        Raises ArchiveError `archive_key_file_missing`, KeysRefused.
        """
        await self.keys.prepare(conn, at=at)
        if await asyncio.to_thread(self.path.exists):
            return
        if await self.needed(conn):
            raise self._missing()
        ring = await self.keys.ring()
        await asyncio.to_thread(self._make, ring)

    async def needed(self, conn: Conn) -> bool:
        """Whether there is a volume that only this file opens without the ledger."""
        return bool(await conn.fetchval(_EVER))

    async def tree(self) -> KeyTree:
        """What is left of the tree. Raises ArchiveError `archive_key_file_missing`, `archive_key_file_unusable`, KeysRefused."""
        ring = await self.keys.ring()
        return await asyncio.to_thread(self._read, ring)

    async def erase(self, conn: Conn, recording_ids: Sequence[UUID]) -> None:
        """Take recordings off every volume they are on: no disc gives them back any more. Durable when it returns, and may be done again.

        Raises as `tree`, and ArchiveError `archive_key_file_unwritable`.
        """
        rows = await conn.fetch(_PLACES, list(recording_ids))
        if rows:
            await self._without([of_recording(row["volume_id"], row["number"]) for row in rows])

    async def erase_again(self, conn: Conn) -> int:
        """After an older copy of the file was put back: take out what the ledger says was deleted. How many recordings it was. As `erase`."""
        tree, count = await self.tree(), 0
        last = (UUID(int=0), -1)
        while rows := await conn.fetch(_DELETED, *last, _AT_ONCE):
            last = (rows[-1]["volume_id"], rows[-1]["number"])
            places = [of_recording(row["volume_id"], row["number"]) for row in rows]
            there = [place for place in places if tree.secret(place) is not None]
            if there:
                await self._without(there)
            count += len(there)
        return count

    async def erase_volumes(self, volume_ids: Sequence[UUID]) -> None:
        """Take all recordings of volumes away. As `erase`."""
        if volume_ids:
            await self._without([of_volume(one) for one in volume_ids])

    async def rewrap(self) -> None:
        """Wrap it under the master key that is in use now. Where there is no such file nothing happens."""
        if await asyncio.to_thread(self.path.exists):
            await self._without([])

    async def _without(self, places: Sequence[Place]) -> None:
        ring = await self.keys.ring()
        await asyncio.to_thread(self._change, ring, lambda tree: tree.without(places))

    def _change(self, ring: Keyring, change: Callable[[KeyTree], KeyTree]) -> None:
        with self._alone():
            self._write(ring, change(self._read(ring)))

    def _make(self, ring: Keyring) -> None:
        with self._alone():
            if not self.path.exists():
                self._write(ring, KeyTree.grown(secrets.token_bytes(SECRET_BYTES)))

    def _read(self, ring: Keyring) -> KeyTree:
        try:
            lines = self.path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            raise self._missing() from None
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(str(error)) from error
        try:
            [line] = [line for line in lines if line and not line.startswith("#")]
            master, encoded = line.split()
            return KeyTree.from_bytes(ring.unwrap(master, base64.b64decode(encoded, validate=True), _PURPOSE))
        except ValueError:
            raise self._unusable("it is cut off, or something else") from None
        except KeysRefused as error:
            raise self._unusable(error.message) from error

    def _write(self, ring: Keyring, tree: KeyTree) -> None:
        wrapped = base64.b64encode(ring.wrap(tree.to_bytes(), _PURPOSE)).decode()
        part = self.path.with_name(self.path.name + ".part")
        try:
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{_SAYS}\n{ring.current} {wrapped}\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise self._unwritable(error) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self.path.with_name(self.path.name + ".lock")
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _missing(self) -> ArchiveError:
        return ArchiveError(
            "archive_key_file_missing",
            f"The archive's key file {self.path} is not there: put it back from its newest copy. A new one opens no disc that was made before.",
        )

    def _unusable(self, problem: str) -> ArchiveError:
        return ArchiveError(
            "archive_key_file_unusable", f"The archive's key file {self.path} cannot be used ({problem})."
        )

    def _unwritable(self, error: OSError) -> ArchiveError:
        return ArchiveError(
            "archive_key_file_unwritable",
            f"The archive's key file {self.path} cannot be written ({error.strerror}): see the rights of its folder. Nothing was erased.",
        )


def wrap_for_disc(leaf: bytes, volume_id: UUID, attempt_id: UUID, file_key: bytes) -> str:
    """A recording's key as its volume holds it, in hexadecimal (RFC 3394): the same each time, under a key that wraps nothing else."""
    return aes_key_wrap(_of_recording(leaf, volume_id, attempt_id), file_key).hex()


def unwrap_from_disc(leaf: bytes, volume_id: UUID, attempt_id: UUID, wrapped: str) -> bytes:
    """The recording's key. Raises Damaged `archive_key_wrong`."""
    try:
        return aes_key_unwrap(_of_recording(leaf, volume_id, attempt_id), bytes.fromhex(wrapped))
    except (InvalidUnwrap, ValueError):
        raise Damaged(
            "archive_key_wrong",
            f"The key of call {attempt_id} on the volume does not open: is the archive's key file another installation's?",
        ) from None


def _of_recording(leaf: bytes, volume_id: UUID, attempt_id: UUID) -> bytes:
    return hmac.digest(leaf, b"file key" + volume_id.bytes + attempt_id.bytes, "sha256")


_EVER: Final = """
select exists (select from archive_volumes v where v.rows_sha256 is not null
               and exists (select from archive_items i where i.volume_id = v.id and i.number is not null))
"""
_DELETED: Final = """
select i.volume_id, i.number from archive_items i join recordings r on r.attempt_id = i.attempt_id and r.id = i.recording_id
where (i.volume_id, i.number) > ($1, $2) and r.state = 'deleted' order by i.volume_id, i.number limit $3
"""
# By the call, which has an index also for volumes that were given up: a copy of one may have been made. What is not frozen holds no key, and
# is not built any more without its file.
_PLACES: Final = """
select i.volume_id, i.number from archive_items i join recordings r on r.attempt_id = i.attempt_id and r.id = i.recording_id
     join archive_volumes v on v.id = i.volume_id and v.rows_sha256 is not null
where r.id = any($1) and i.number is not null
"""

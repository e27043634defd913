"""Reads a volume's file system without mounting it: ECMA-119 descriptors and the directory records of the Joliet tree.

Only what is asked for is read, so one call comes out of a full disc with a handful of seeks; a mount would need root, and a library that
reads the whole tree first needs minutes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, Self

from recorder.archive.media import SECTOR
from recorder.errors import Damaged

_FIRST_DESCRIPTOR: Final = 16
_MOST_DESCRIPTORS: Final = 32
_JOLIET: Final = (b"%/@", b"%/C", b"%/E")
_MORE: Final = 0x80
_FOLDER: Final = 0x02
_MOST_FOLDER_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or folder: where its bytes lie in the image. A file beyond 4 GiB lies in consecutive extents, which are given as one."""

    name: str
    folder: bool
    start: int
    bytes: int


class Source(Protocol):
    """What is read like a disc: a file, a drive, an object in a bucket."""

    def pread(self, count: int, start: int) -> bytes:
        """Bytes from a place on; fewer where it ends. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _File:
    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def pread(self, count: int, start: int) -> bytes:
        return os.pread(self._handle, count, start)

    def close(self) -> None:
        os.close(self._handle)


class Iso:
    """An open image or disc. Every failure to make sense of it is Damaged `volume_structure_damaged`."""

    def __init__(self, source: Path | Source) -> None:
        self._source = _File(source) if isinstance(source, Path) else source
        try:
            self._root = self._find_root()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._source.close()

    @property
    def data_bytes(self) -> int:
        """Bytes of the file system, without the error correction that follows it."""
        return int.from_bytes(self.read_at(_FIRST_DESCRIPTOR * SECTOR + 80, 4), "little") * SECTOR

    def read_at(self, start: int, count: int) -> bytes:
        """Bytes of the image. Raises Damaged when they are not there or the drive cannot read them."""
        try:
            found = self._source.pread(count, start)
        except OSError as error:
            raise _damaged(f"sector {start // SECTOR} cannot be read: {error.strerror}") from error
        if len(found) != count:
            raise _damaged(f"it ends at byte {start + len(found)}")
        return found

    def find(self, path: str) -> Entry | None:
        """The entry at a path from the root, `data/index.html`; None when there is none."""
        entry = self._root
        for part in PurePosixPath(path).parts:
            if not entry.folder:
                return None
            found = next((one for one in self.entries(entry) if one.name == part), None)
            if found is None:
                return None
            entry = found
        return entry

    def content(self, path: str) -> bytes:
        """A small file as a whole. Raises Damaged when it is not there."""
        entry = self.find(path)
        if entry is None or entry.folder:
            raise _damaged(f"{path} is not on it")
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes of a file."""
        at, end = entry.start, entry.start + entry.bytes
        while at < end:
            yield self.read_at(at, min(size, end - at))
            at += size

    def walk(self) -> Iterator[tuple[str, Entry]]:
        """Every file with its path, folder by folder."""
        waiting = [("", self._root)]
        seen = set()
        while waiting:
            prefix, folder = waiting.pop()
            if folder.start in seen:
                raise _damaged("its folders run in a circle")
            seen.add(folder.start)
            for entry in self.entries(folder):
                if entry.folder:
                    waiting.append((f"{prefix}{entry.name}/", entry))
                else:
                    yield prefix + entry.name, entry

    def entries(self, folder: Entry) -> list[Entry]:
        """What lies in a folder."""
        if not 0 < folder.bytes <= _MOST_FOLDER_BYTES:
            raise _damaged("a folder has no sensible size")
        records, found = self.read_at(folder.start, folder.bytes), list[Entry]()
        at, growing = 0, False
        while at < len(records):
            length = records[at]
            if length == 0:  # the next record begins with the next sector
                at = (at // SECTOR + 1) * SECTOR
                continue
            if length < 34 or at + length > len(records):
                raise _damaged("a directory record has no sensible length")
            entry, more = _entry(records[at : at + length])
            if entry is not None:
                if growing:
                    last = found[-1]
                    found[-1] = Entry(name=last.name, folder=False, start=last.start, bytes=last.bytes + entry.bytes)
                else:
                    found.append(entry)
                growing = more
            at += length
        return found

    def _find_root(self) -> Entry:
        for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _MOST_DESCRIPTORS):
            descriptor = self.read_at(number * SECTOR, SECTOR)
            if descriptor[1:6] != b"CD001":
                raise _damaged("it has no volume descriptors: is it one of our discs?")
            kind = descriptor[0]
            if kind == 255:
                break
            if kind == 2 and descriptor[88:91] in _JOLIET:
                start, size = struct.unpack_from("<I4xI", descriptor, 156 + 2)
                return Entry(name="", folder=True, start=start * SECTOR, bytes=size)
        raise _damaged("it has no Joliet tree: is it one of our discs?")


def _entry(record: bytes) -> tuple[Entry | None, bool]:
    start, size = struct.unpack_from("<I4xI", record, 2)
    flags, name_length = record[25], record[32]
    raw = record[33 : 33 + name_length]
    if raw in {b"\0", b"\1"}:
        return None, False  # the folder itself, and the one above
    try:
        name = raw.decode("utf-16-be").removesuffix(";1")
    except UnicodeDecodeError:
        raise _damaged("a name in a folder cannot be read") from None
    return Entry(name=name, folder=bool(flags & _FOLDER), start=start * SECTOR, bytes=size), bool(flags & _MORE)


def _damaged(problem: str) -> Damaged:
    return Damaged("volume_structure_damaged", f"The volume cannot be read as it should: {problem}.")

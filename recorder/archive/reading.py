"""Reading a volume back, file by file and as a whole, in one pass over the medium.

The whole hash finds every changed bit, also in structures and padding; the hash of each file says whose bytes they are. Both are reckoned side
by side, each in a thread of its own (hashlib lets go of the interpreter).
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recorder.archive.bag import MANIFEST, SIGNATURE, TAG_MANIFEST, hash_of, read_manifest
from recorder.archive.iso import Entry, Iso, Source
from recorder.archive.media import SECTOR
from recorder.archive.signing import check_signature
from recorder.errors import Damaged
from recorder.storing import refusal

BLOCK: Final = 4 << 20
_IN_HAND: Final = 4
_STRUCTURE: Final = "structure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a volume: `path` is the file it is about, or `structure`."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read: the hash of the whole (None: a sector could not be read) and of its first `data_bytes`, the signing key, the payload's files and
    what is wrong.
    """

    sha256: bytes | None
    data_sha256: bytes | None = None
    public_key: str
    files: int
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class _File:
    path: str
    entry: Entry
    digest: Any
    unreadable: bool = False


def read_volume(
    source: Path,
    *,
    image_bytes: int,
    sha256: bytes | None,
    data_bytes: int = 0,
    recordings: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Reading:
    """Read a whole image or disc and compare it with its own manifest, with the hash of the ledger, and with the ledger's recordings. Blocking.

    `recordings`: path on the volume → SHA-256 in hexadecimal. None of `sha256` and `recordings` is needed to read a foreign disc. Nothing is
    raised for damage: it is all in `faults`.
    """
    faults: list[Fault] = []
    files: list[_File] = []
    public_key, stated = "", dict[str, str]()
    try:
        with Iso(source) as iso:
            found = [_File(path, entry, hashlib.sha256()) for path, entry in iso.walk()]
            files = sorted(found, key=lambda one: one.entry.start)
            public_key, stated = _stated(iso, faults)
    except Damaged as error:
        faults.append(Fault(path=_STRUCTURE, problem=error.message))
    except OSError as error:
        return Reading(sha256=None, public_key="", files=0, faults=(Fault(path=_STRUCTURE, problem=str(error)),))
    whole, of_data = _read_all(source, image_bytes, data_bytes, files, faults, progress)
    faults += _compare(files, stated, recordings)
    if whole is not None and sha256 is not None and whole != sha256 and not faults:
        faults.append(
            Fault(
                path=_STRUCTURE, problem="bytes outside of files have changed: structures, padding or error correction"
            )
        )
    return Reading(sha256=whole, data_sha256=of_data, public_key=public_key, files=len(stated), faults=tuple(faults))


def _stated(iso: Iso, faults: list[Fault]) -> tuple[str, dict[str, str]]:
    """The signing key, and path → hash of everything that a manifest names. The tag manifest is what the signature covers."""
    tag_manifest = iso.content(TAG_MANIFEST)
    public_key = ""
    try:
        public_key = check_signature(iso.content(SIGNATURE), tag_manifest)
    except Damaged as error:
        faults.append(Fault(path=SIGNATURE, problem=error.message))
    return public_key, {
        **read_manifest(tag_manifest, TAG_MANIFEST),
        **read_manifest(iso.content(MANIFEST), MANIFEST),
    }


def _compare(files: list[_File], stated: dict[str, str], recordings: Mapping[str, str] | None) -> list[Fault]:
    found = {one.path: one for one in files}
    faults = []
    wanted = dict(stated) if recordings is None else {**stated, **recordings}
    for path, sha256 in sorted(wanted.items()):
        one = found.get(path)
        if one is None:
            faults.append(Fault(path=path, problem="is not there"))
        elif one.unreadable:
            faults.append(Fault(path=path, problem="cannot be read"))
        elif one.digest.hexdigest() != sha256:
            faults.append(Fault(path=path, problem="has changed: its hash is another"))
    if stated:
        extra = set(found) - set(wanted) - {TAG_MANIFEST, SIGNATURE}
        faults += [Fault(path=path, problem="is on the volume, and in no manifest") for path in sorted(extra)]
    return faults


def _read_all(
    source: Path,
    image_bytes: int,
    data_bytes: int,
    files: list[_File],
    faults: list[Fault],
    progress: Callable[[int], None],
) -> tuple[bytes | None, bytes | None]:
    whole, broken = hashlib.sha256(), False
    of_data: Future[bytes] | None = None
    feed = _Feed(files)
    handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Else we would be told what is in memory, not what is on the medium.
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        with ThreadPoolExecutor(1, "archive-whole") as of_whole, ThreadPoolExecutor(1, "archive-files") as of_files:
            waiting: deque[Future[None]] = deque()
            at = 0
            while at < image_bytes:
                count = min(BLOCK, (data_bytes if at < data_bytes else image_bytes) - at)
                block, unreadable = _block(handle, at, count)
                for start, stop in unreadable:
                    broken = True
                    faults.append(
                        Fault(
                            path=_STRUCTURE,
                            problem=f"sectors {start // SECTOR} to {(stop - 1) // SECTOR} cannot be read",
                        )
                    )
                waiting += [of_whole.submit(whole.update, block), of_files.submit(feed.take, at, block, unreadable)]
                if at + count == data_bytes:
                    of_data = of_whole.submit(whole.digest)
                while len(waiting) > 2 * _IN_HAND:
                    waiting.popleft().result()
                progress(count)
                at += count
            for one in waiting:
                one.result()
    finally:
        os.close(handle)
    return (None, None) if broken else (whole.digest(), of_data.result() if of_data else None)


def _block(handle: int, at: int, count: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Bytes, with zeros for what cannot be read, and which those are: sector by sector where the drive refuses the block."""
    try:
        block = os.pread(handle, count, at)
        if len(block) == count:
            return block, []
    except OSError:
        pass
    parts, lost = [], list[tuple[int, int]]()
    for start in range(at, at + count, SECTOR):
        length = min(SECTOR, at + count - start)
        try:
            part = os.pread(handle, length, start)
        except OSError:
            part = b""
        if len(part) != length:
            part = b"\0" * length
            if lost and lost[-1][1] == start:
                lost[-1] = (lost[-1][0], start + length)
            else:
                lost.append((start, start + length))
        parts.append(part)
    return b"".join(parts), lost


def readable_blocks(source: Path, size: int) -> Iterator[bytes]:
    """The bytes of a medium, block by block, with zeros for the sectors that cannot be read. Blocking."""
    handle = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for at in range(0, size, BLOCK):
            yield _block(handle, at, min(BLOCK, size - at))[0]
    finally:
        os.close(handle)


class _Feed:
    """Gives the bytes of the medium, in order, to the hashes of the files they belong to."""

    def __init__(self, files: list[_File]) -> None:
        self._files = files
        self._next = 0
        self._open: list[_File] = []

    def take(self, at: int, block: bytes, unreadable: list[tuple[int, int]]) -> None:
        end, view = at + len(block), memoryview(block)
        while self._next < len(self._files) and self._files[self._next].entry.start < end:
            self._open.append(self._files[self._next])
            self._next += 1
        going_on = []
        for one in self._open:
            start, stop = one.entry.start, one.entry.start + one.entry.bytes
            begin, finish = max(start, at), min(stop, end)
            if begin < finish:
                one.digest.update(view[begin - at : finish - at])
                if any(a < finish and begin < b for a, b in unreadable):
                    one.unreadable = True
            if stop > end:
                going_on.append(one)
        self._open = going_on


def copy_out(source: Path | Source, path: str, target: Path, *, sha256: str) -> int:
    """Take one file from a volume, durable, and only if it is what it should be. Gives its bytes. Blocking.

    Raises Damaged `volume_file_damaged` (try another copy, or repair the image), `volume_structure_damaged`; StoreRefused where the target's disk does
    not take it; OSError where the source cannot be opened.
    """
    part = target.with_name(target.name + ".part")
    with Iso(source) as iso:
        entry = iso.find(path)
        if entry is None or entry.folder:
            raise Damaged("volume_file_damaged", f"{path} is not on this volume: is it the right disc?")
        digest = hashlib.sha256()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in iso.chunks(entry):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != sha256 or hash_of(part) != sha256:
                raise Damaged(
                    "volume_file_damaged", f"{path} on this copy is damaged: take another copy, or repair its image."
                )
            part.replace(target)
        except OSError as error:  # what the source does not give is Damaged
            raise refusal(error) from error
        finally:
            part.unlink(missing_ok=True)
    return entry.bytes

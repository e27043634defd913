"""The form of a sealed file: encrypted, authenticated, and read from any place in it.

A header of 32 bytes (mark, chunk length, id of the call), then chunks of 64 KiB, each AES-256-GCM (NIST SP 800-38D) with a tag of 16 bytes.
Every file has a key of its own, so the nonce is the number of the chunk, and says whether it is the last (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár, 2015): chunks cannot be swapped, taken from another call, or cut off at the end without it being seen.
The length of what is inside follows from the length of the file.
"""

from __future__ import annotations

import io
import secrets
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.errors import FileGone

CHUNK_BYTES: Final = 64 * 1024
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
STRIDE: Final = CHUNK_BYTES + TAG_BYTES
"""From one chunk to the next in the file."""

_MARK: Final = b"WHSEAL01"
_HEAD: Final = struct.Struct(">8sII16s")
HEAD_BYTES: Final = _HEAD.size
_NONCE: Final = struct.Struct(">xxxQ?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A file's key, and the call it belongs to."""

    attempt_id: UUID
    key: bytes = field(repr=False)

    @property
    def head(self) -> bytes:
        """The first bytes of the file, which every chunk vouches for."""
        return _HEAD.pack(_MARK, CHUNK_BYTES, 0, self.attempt_id.bytes)


def new_seal(attempt_id: UUID) -> Seal:
    """A fresh key. A key is never used for two contents, not even for a second try of the same call."""
    return Seal(attempt_id=attempt_id, key=secrets.token_bytes(KEY_BYTES))


def content_bytes(file_bytes: int) -> int:
    """Length of what is inside a sealed file. Raises FileGone where no sealed file is so long."""
    body = file_bytes - HEAD_BYTES
    chunks = -(-body // STRIDE)
    inside = body - chunks * TAG_BYTES
    if chunks < 1 or inside < 0 or (chunks > 1 and inside <= (chunks - 1) * CHUNK_BYTES):
        raise FileGone("recording_file_torn", "The stored file is cut off: check the disk, restore the file.")
    return inside


class Sink(Protocol):
    """Where bytes go: a file that is written forwards."""

    def write(self, data: bytes) -> int:
        """Write all of it."""
        ...


class SealingSink:
    """Seals what is written to it. Not done before `finish`."""

    def __init__(self, sink: Sink, seal: Seal) -> None:
        self._sink = sink
        self._head = seal.head
        self._cipher = AESGCM(seal.key)
        self._waiting = bytearray()
        self._chunk = 0
        sink.write(self._head)

    def write(self, data: bytes) -> int:
        """Take bytes; whole chunks are written on. Raises OSError where the disk is full."""
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:  # the last chunk is only known when nothing comes after it
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def finish(self) -> None:
        """Write the last chunk."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, content: bytes, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_NONCE.pack(self._chunk, last), content, self._head))
        self._chunk += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Bytes of the sealed file from `start` to `stop` that hold a wanted span, and where in the opened bytes the span begins and ends."""

    first_chunk: int
    start: int
    stop: int
    skip: int
    length: int


class Opener:
    """Opens spans of a sealed file of `file_bytes`, chunk by chunk: only the chunks that hold a span are read and decrypted."""

    def __init__(self, seal: Seal, file_bytes: int) -> None:
        self._cipher = AESGCM(seal.key)
        self._head = seal.head
        self._file_bytes = file_bytes
        self.content_bytes = content_bytes(file_bytes)
        self._last = max(0, -(-self.content_bytes // CHUNK_BYTES) - 1)

    def check_head(self, head: bytes) -> None:
        """Raises FileGone where the file is not this call's."""
        if head[:HEAD_BYTES] != self._head:
            raise altered()

    def stretch(self, start: int, stop: int) -> Stretch:
        """What to read for the content from `start` up to, not including, `stop`."""
        first, last = start // CHUNK_BYTES, (stop - 1) // CHUNK_BYTES
        return Stretch(
            first_chunk=first,
            start=HEAD_BYTES + first * STRIDE,
            stop=min(HEAD_BYTES + (last + 1) * STRIDE, self._file_bytes),
            skip=start - first * CHUNK_BYTES,
            length=stop - start,
        )

    def open(self, stretch: Stretch, sealed: bytes | memoryview) -> bytes:
        """The content of a stretch from its bytes. Raises FileGone `recording_file_altered`."""
        return bytes(self.open_into(stretch, sealed, memoryview(bytearray(len(sealed)))))

    def open_into(self, stretch: Stretch, sealed: bytes | memoryview, room: memoryview) -> memoryview:
        """The same as a part of `room`, which is at least as long as the chunks of the stretch. Raises FileGone `recording_file_altered`."""
        view, number, filled = memoryview(sealed), stretch.first_chunk, 0
        try:
            for at in range(0, len(view), STRIDE):
                chunk, nonce = view[at : at + STRIDE], _NONCE.pack(number, number == self._last)
                end = filled + max(0, len(chunk) - TAG_BYTES)
                self._cipher.decrypt_into(nonce, chunk, self._head, room[filled:end])
                number, filled = number + 1, end
        except InvalidTag:
            raise altered() from None
        return room[stretch.skip : min(stretch.skip + stretch.length, filled)]


def altered() -> FileGone:
    """What is said of a file that is not what was sealed."""
    return FileGone(
        "recording_file_altered",
        "The stored file is not what was sealed for this call: it was changed, or is another call's. Restore it from a copy.",
    )


class SealedFile(io.RawIOBase):
    """A sealed file as what is inside: read and seek, for decoders and copies. Blocking; raises FileGone where it was altered."""

    def __init__(self, path: Path, seal: Seal) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        try:
            self._opener = Opener(seal, path.stat().st_size)
            self._opener.check_head(self._file.read(HEAD_BYTES) or b"")
        except BaseException:
            self._file.close()
            raise
        self._at = 0
        self._chunk = -1
        self._content = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place of the content."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._opener.content_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where we are in the content."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from one chunk."""
        if self._at >= self._opener.content_bytes:
            return 0
        number, skip = divmod(self._at, CHUNK_BYTES)
        if number != self._chunk:
            start = number * CHUNK_BYTES
            stretch = self._opener.stretch(start, min(start + CHUNK_BYTES, self._opener.content_bytes))
            self._file.seek(stretch.start)
            self._content = self._opener.open(stretch, self._file.read(stretch.stop - stretch.start) or b"")
            self._chunk = number
        got = self._content[skip : skip + len(buffer)]
        buffer[: len(got)] = got
        self._at += len(got)
        return len(got)

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            self._file.close()
        super().close()


def content_of(path: Path, seal: Seal | None) -> BinaryIO:
    """The sound of a stored file, sealed or not, to read and seek in. Blocking. Raises FileGone."""
    try:
        return path.open("rb") if seal is None else io.BufferedReader(SealedFile(path, seal), CHUNK_BYTES)
    except OSError as error:
        raise FileGone(
            "recording_file_gone",
            f"The stored file cannot be opened ({error.strerror}): is the store mounted? Restore the file if it is lost.",
        ) from error

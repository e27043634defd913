"""Reading the CSV files people send: encoding, delimiter, and one record after the other, in constant memory. What is broken is set aside, never guessed.

Encoding: a byte order mark decides, else strict UTF-8, else GB18030, else we ask. A record whose quotes are broken costs its first line only: reading goes on
with the next line, so that one stray quote does not swallow the rest of the file.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from campaigns.errors import BadInput

MAX_LINE: Final = 1 << 20
"""Characters; a longer line is rejected as a whole and not kept in memory."""

_MAX_RECORD_LINES: Final = 100
_MAX_RECORD: Final = 1 << 18
_BLOCK: Final = 1 << 20
_SPREADSHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a first pass over a file finds out."""

    size: int
    sha256: bytes
    encoding: str


class Record(NamedTuple):
    """A record with the number of its first line (from 1). With an `error_id` it could not be read, and its only cell is the line as it stands."""

    line: int
    cells: list[str]
    error_id: str | None = None


def examine(path: Path) -> FileFacts:
    """Hash a file and find its encoding, reading it once or twice.

    Errors: BadInput `file_empty`, `file_is_spreadsheet`, `encoding_unsupported` (UTF-16, UTF-32), `encoding_unknown` with the first byte that fits none.
    """
    digest, size = hashlib.sha256(), 0
    decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(_SPREADSHEETS):
            raise BadInput(
                "file_is_spreadsheet", "This is a spreadsheet, not a CSV file; save it as CSV (UTF-8) and try again."
            )
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
            raise BadInput(
                "encoding_unsupported",
                "This file is written in UTF-16 or UTF-32; save it as CSV (UTF-8) and try again.",
            )
        file.seek(0)
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
            decoder = _decodes(decoder, block)
        if decoder is not None:
            decoder = _decodes(decoder, b"", final=True)
    if not size:
        raise BadInput("file_empty", "The file is empty.")
    encoding = "utf-8-sig" if decoder is not None else "gb18030"
    if decoder is None:
        _check_gb18030(path)
    return FileFacts(size=size, sha256=digest.digest(), encoding=encoding)


def _decodes(
    decoder: codecs.IncrementalDecoder | None, block: bytes, *, final: bool = False
) -> codecs.IncrementalDecoder | None:
    if decoder is None:
        return None
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return None
    return decoder


def _check_gb18030(path: Path) -> None:
    decoder, done = codecs.getincrementaldecoder("gb18030")(), 0
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
                done += len(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            raise BadInput(
                "encoding_unknown",
                "The file is neither UTF-8 nor GB18030; save it as CSV (UTF-8) and try again.",
                byte=done + error.start,
            ) from error


class CsvFile:
    """A CSV file that is open for reading; `header` is its first record, iterating gives the others.

    Errors at opening: those of `examine`; BadInput `header_broken`.
    """

    def __init__(self, path: Path) -> None:
        self.facts = examine(path)
        self._binary = path.open("rb")
        self._text: TextIO = io.TextIOWrapper(self._binary, self.facts.encoding, errors="strict", newline="")
        lines = _lines(self._text)
        try:
            first = next(lines, "")
            self.delimiter = _delimiter(first)
            self._records = read_records(_again(first, lines), self.delimiter)
            record = next(
                (record for record in self._records if record.error_id or any(cell.strip() for cell in record.cells)),
                None,
            )
            if record is None or record.error_id:
                raise BadInput(
                    "header_broken",
                    "The first line cannot be read as the names of the columns.",
                    line=record.line if record else 1,
                )
            self.header = [cell.strip() for cell in record.cells]
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def position(self) -> int:
        """Bytes read so far, about: for progress."""
        return self._binary.tell()

    def close(self) -> None:
        """Close the file."""
        self._text.close()


def _delimiter(header: str) -> str:
    return max(",\t;|", key=header.count)


class _Overlong(str):
    """The beginning of a line that is longer than `MAX_LINE`."""

    __slots__ = ()


def _lines(text: TextIO) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
            yield line
            continue
        start = _Overlong(line[:1000])
        while line and not line.endswith(("\n", "\r")):
            line = text.readline(MAX_LINE)
        yield start


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


class _TooLong(Exception):
    """A record goes on and on: a quote was opened and not closed."""


def read_records(lines: Iterator[str], delimiter: str) -> Iterator[Record]:
    """Records from physical lines (with their line ends). Empty lines are passed over; a line that cannot be read comes as a record with an error."""
    again: deque[str] = deque()
    taken: list[str] = []

    def feed() -> Iterator[str]:
        length = 0
        while True:
            line = again.popleft() if again else next(lines, None)
            if line is None:
                return
            taken.append(line)
            if len(taken) > 1:
                length += len(line)
                if len(taken) > _MAX_RECORD_LINES or length > _MAX_RECORD:
                    raise _TooLong
            else:
                length = len(line)
            if type(line) is _Overlong:
                raise _TooLong
            yield line

    number = 1
    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            line = taken[0]
            long = type(line) is _Overlong or (len(taken) == 1 and "field larger" in str(error))
            yield Record(number, [line[:1000].rstrip("\r\n")], "cell_too_long" if long else "quotes_broken")
            again.extendleft(reversed(taken[1:]))
            taken.clear()
            number += 1
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            continue
        if cells:
            yield Record(number, cells)
        number += len(taken)
        taken.clear()

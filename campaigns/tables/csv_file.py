"""Reading the CSV and TSV files people send: one record after the other, in constant memory. What is broken is set aside, never guessed.

A record whose quotes are broken costs its first line only: reading goes on with the next line, so that one stray quote does not swallow the rest of the file.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from campaigns.tables.encoding import hash_and_encoding
from campaigns.tables.table import HEADER_WITHIN, FileFacts, IsHeader, Record, TableFormat, split_header

MAX_LINE: Final = 1 << 20
"""Characters; a longer line is rejected as a whole and not kept in memory."""

DELIMITERS: Final = ",\t;|"
_MAX_RECORD_LINES: Final = 100
_MAX_RECORD: Final = 1 << 18


class CsvFile:
    """A CSV file that is open for reading: a `Table`.

    Errors at opening: those of `encoding.hash_and_encoding` and `split_header`.
    """

    def __init__(self, path: Path, is_header: IsHeader | None, *, encoding: str | None = None) -> None:
        sha256, size, codec = hash_and_encoding(path, encoding)
        self._binary = path.open("rb")
        self._text: TextIO = io.TextIOWrapper(self._binary, codec, errors="strict", newline="")
        try:
            lines = _lines(self._text)
            first = list(islice(lines, HEADER_WITHIN))
            delimiter = find_delimiter(first, is_header)
            self.facts = FileFacts(
                format=TableFormat.CSV, size=size, sha256=sha256, encoding=codec, delimiter=delimiter
            )
            records = read_records(_chained(first, lines), delimiter)
            self.header, self.above, self._records = split_header(records, is_header)
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


def find_delimiter(lines: Iterable[str], is_header: IsHeader | None) -> str:
    """The delimiter with which one of the first lines names the columns; else the one that splits the first line that says something into most cells."""
    lines = [line for line in lines if line.strip()]

    def named(delimiter: str) -> int:
        if is_header is None:
            return 0
        records = read_records(iter(lines), delimiter)
        return max((len(one.cells) for one in records if not one.error_id and is_header(one.cells)), default=0)

    def split(delimiter: str) -> int:
        return len(next(read_records(iter(lines[:1]), delimiter), Record(1, [])).cells)

    return max(DELIMITERS, key=lambda delimiter: (named(delimiter), split(delimiter)))


def _chained(first: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest


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

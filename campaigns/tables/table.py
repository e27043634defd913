"""What every kind of file looks like once it is open: a header, what stood above it, and one record after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple, Protocol

from campaigns.errors import BadInput

HEADER_WITHIN: Final = 20
"""Records: how far down a header is looked for, below titles and notes."""

IsHeader = Callable[[Sequence[str]], bool]
"""Do these cells name the columns of a list?"""


class TableFormat(StrEnum):
    """What a file is."""

    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    XLSB = "xlsb"
    ODS = "ods"

    @property
    def is_sheet(self) -> bool:
        """A workbook with sheets."""
        return self is not TableFormat.CSV


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a first pass over a file finds out. `encoding` and `delimiter` are those of a CSV file; `sheet` is the one of a workbook."""

    format: TableFormat
    size: int
    sha256: bytes
    encoding: str = ""
    delimiter: str = ","
    sheet: str = ""


class Record(NamedTuple):
    """A record with the number of its first line (from 1). With an `error_id` it could not be read, and its only cell is the line as it stands."""

    line: int
    cells: list[str]
    error_id: str | None = None


class Table(Protocol):
    """A file that is open for reading. Iterating gives the records below the header, once."""

    facts: FileFacts
    header: list[str]
    above: list[Record]

    def __iter__(self) -> Iterator[Record]:
        """The records below the header."""
        ...

    def position(self) -> int:
        """Bytes read so far, about, of `facts.size`: for progress."""
        ...

    def close(self) -> None:
        """Give back what reading holds."""
        ...


def split_header(
    records: Iterator[Record], is_header: IsHeader | None
) -> tuple[list[str], list[Record], Iterator[Record]]:
    """Find the header: the first record that names the columns, else the first that is not blank. Gives it, the records above it, and the rest.

    None for `is_header`: there is no header, and the columns are called `column 1`, `column 2`, ... Errors: BadInput `header_broken`.
    """
    head = list(islice(records, HEADER_WITHIN))
    if is_header is None:
        width = max((len(record.cells) for record in head), default=0)
        return [f"column {place}" for place in range(1, width + 1)], [], _chained(head, records)
    named = next((place for place, record in enumerate(head) if not record.error_id and is_header(record.cells)), None)
    place = (
        named if named is not None else next((at for at, record in enumerate(head) if _says_something(record)), None)
    )
    if place is None or head[place].error_id:
        raise BadInput(
            "header_broken",
            "The first line cannot be read as the names of the columns.",
            line=head[place].line if place is not None else 1,
        )
    above = [record for record in head[:place] if _says_something(record)]
    return [cell.strip() for cell in head[place].cells], above, _chained(head[place + 1 :], records)


def _says_something(record: Record) -> bool:
    return record.error_id is not None or any(cell.strip() for cell in record.cells)


def _chained(first: list[Record], rest: Iterator[Record]) -> Iterator[Record]:
    yield from first
    yield from rest

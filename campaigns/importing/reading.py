"""A file in chunks of leads and rejects, in constant memory: what runs in a thread while the database takes the chunk before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from campaigns.importing.columns import Columns, find_columns, fitting, header_like
from campaigns.importing.options import ImportOptions
from campaigns.importing.rows import LeadRow, Reject, duplicate, read_row, rejected
from campaigns.tables.open_table import open_table
from campaigns.tables.table import Table

CHUNK_ROWS: Final = 20_000
CHUNK_CHARACTERS: Final = 16_000_000


@dataclass(slots=True)
class Chunk:
    """Good rows with their cells (by line), and rows to give back. `position`: bytes read so far."""

    rows: list[LeadRow] = field(default_factory=list)
    cells: dict[int, Sequence[str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """A list that is open for reading: close its table."""

    table: Table
    columns: Columns
    mapping: Mapping[str, str]


def open_list(path: Path, options: ImportOptions, saved: Sequence[Mapping[str, str]] = ()) -> OpenList:
    """Open a file and find its columns; `saved` are the mappings of its client, the latest first.

    Errors: BadInput, those of `tables.open_table` and `columns.find_columns`.
    """
    known = [options.mapping, *saved] if options.mapping else list(saved)
    is_header = header_like(known) if options.has_header else None
    table = open_table(path, is_header, encoding=options.encoding, sheet=options.sheet)
    try:
        mapping = options.mapping or fitting(saved, table.header)
        columns = find_columns(table.header, mapping, unique_by=options.unique_by)
    except BaseException:
        table.close()
        raise
    return OpenList(table=table, columns=columns, mapping=mapping)


def chunks(source: OpenList, region: str) -> Iterator[Chunk]:
    """What is in a list, from its beginning."""
    table, columns = source.table, source.columns
    chunk, characters = Chunk(), 0
    chunk.rejects += [rejected(record, "", record.error_id or "above_header") for record in table.above]
    numbers: set[str] = set()
    references: set[str] = set()
    for record in table:
        row = read_row(record, columns, region)
        twice = None if isinstance(row, Reject) else _twice(row, numbers, references)
        if isinstance(row, Reject) or twice is not None:
            chunk.rejects.append(row if isinstance(row, Reject) else duplicate(row, record.cells, columns, twice or ""))
            characters += sum(map(len, record.cells))
        else:
            numbers.add(row.number)
            if row.reference is not None:
                references.add(row.reference)
            chunk.rows.append(row)
            chunk.cells[row.line] = record.cells
            characters += len(row.fields) + len(row.name)
        if len(chunk.rows) + len(chunk.rejects) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
            chunk.position = table.position()
            yield chunk
            chunk, characters = Chunk(), 0
            numbers, references = set(), set()
    if chunk.rows or chunk.rejects:
        chunk.position = table.position()
        yield chunk


def _twice(row: LeadRow, numbers: set[str], references: set[str]) -> str | None:
    if row.number in numbers:
        return "duplicate_in_file"
    if row.reference in references:
        return "reference_in_file"
    return None

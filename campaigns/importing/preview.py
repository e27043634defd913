"""How a list would be read: its first rows, before anything is taken. Nothing of the database is asked or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from campaigns.importing.columns import KNOWN
from campaigns.importing.options import ImportOptions
from campaigns.importing.reading import OpenList, open_list
from campaigns.importing.rows import Reject, read_row, rejected
from campaigns.numbers import NumberKind, kind_of
from campaigns.tables.table import FileFacts, Record

ROWS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """A row as it would be taken, or (with an `error_id`) why not, and because of which column. `numbers`: E.164, in their order, and of which kind each is."""

    line: int
    numbers: tuple[str, ...] = ()
    kinds: tuple[NumberKind, ...] = ()
    name: str = ""
    fields: Mapping[str, Any]
    priority: int = 0
    error_id: str | None = None
    reason: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPreview:
    """What a file is, which of its columns is what (ours → header), and its first rows, those above the header before them."""

    facts: FileFacts
    header: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: tuple[PreviewRow, ...]


def preview_list(path: Path, options: ImportOptions, saved: Sequence[Mapping[str, str]] = ()) -> ListPreview:
    """Look at a file. Errors: BadInput, those of `reading.open_list`."""
    source = open_list(path, options, saved)
    try:
        columns = source.columns
        places = {ours: getattr(columns, ours) for ours in KNOWN}
        above = [_given_back(rejected(one, "", one.error_id or "above_header")) for one in source.table.above]
        rows = [_row(record, source, options.region) for record in islice(source.table, ROWS)]
        return ListPreview(
            facts=source.table.facts,
            header=columns.header,
            mapping={ours: columns.header[place] for ours, place in places.items() if place is not None},
            rows=(*above, *rows),
        )
    finally:
        source.table.close()


def _row(record: Record, source: OpenList, region: str) -> PreviewRow:
    row = read_row(record, source.columns, region)
    if isinstance(row, Reject):
        return _given_back(row, source.columns.header)
    numbers = (row.number, *row.others.split(",")) if row.others else (row.number,)
    return PreviewRow(
        line=row.line,
        numbers=numbers,
        kinds=tuple(map(kind_of, numbers)),
        name=row.name,
        fields=orjson.loads(row.fields),
        priority=row.priority,
    )


def _given_back(row: Reject, header: Sequence[str] = ()) -> PreviewRow:
    names = [*header, *(f"column {place}" for place in range(len(header) + 1, len(row.cells) + 1))]
    return PreviewRow(
        line=row.line,
        fields=dict(zip(names, row.cells, strict=False)),
        error_id=row.error_id,
        reason=row.reason,
        column=row.column,
    )

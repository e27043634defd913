"""From a row of a file to a lead, or to what is wrong with it. Knows nothing of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from campaigns.errors import BadInput
from campaigns.importing.columns import Columns
from campaigns.leads import MAX_NAME
from campaigns.numbers import MAX_NUMBERS, PhoneNumber, read_cell
from campaigns.tables.table import Record

MAX_CELL: Final = 4000
MAX_REFERENCE: Final = 200
EXTENSION: Final = "extension"
"""The field of a lead in which the extension stands that was written behind its number."""

_PRIORITIES: Final = range(-1000, 1001)


class LeadRow(NamedTuple):
    """A good row, as it goes to the database; `others` are numbers with commas between, `fields` is JSON, `kind` is that of `number`."""

    line: int
    number: str
    others: str | None
    name: str
    fields: str
    priority: int
    reference: str | None
    carrier: str | None
    kind: str


class Reject(NamedTuple):
    """A row that is given back: which line, which column (empty: the whole row), why, and the uploader's own cells."""

    line: int
    column: str
    error_id: str
    reason: str
    cells: Sequence[str]


REASONS: Final[Mapping[str, str]] = {
    "above_header": "This line stands above the names of the columns.",
    "quotes_broken": "The quotation marks of this line do not match.",
    "cell_too_long": f"A cell has more than {MAX_CELL} characters.",
    "name_too_long": f"The name has more than {MAX_NAME} characters.",
    "reference_too_long": f"What tells people apart has more than {MAX_REFERENCE} characters.",
    "nul_character": "The row contains a NUL character.",
    "too_many_cells": "The row has more cells than the header has columns.",
    "numbers_too_many": f"The row has more than {MAX_NUMBERS} numbers.",
    "priority_invalid": f"The priority is not a whole number from {_PRIORITIES[0]} to {_PRIORITIES[-1]}.",
    "duplicate_in_file": "The same number is in the file already, further up.",
    "duplicate_in_project": "The project has a lead with this number already.",
    "duplicate_in_client": "Another project of the same client has a lead with this number already.",
    "reference_in_file": "The same person is in the file already, further up.",
    "reference_in_project": "The project has a lead for this person already.",
    "reference_in_client": "Another project of the same client has a lead for this person already.",
}


def read_row(record: Record, columns: Columns, region: str) -> LeadRow | Reject:
    """What a record of the file is: a lead, or a row to give back. `region`: where numbers without a country code belong."""
    line, cells, error_id = record
    if error_id is not None:
        return Reject(line, "", error_id, REASONS[error_id], cells)
    width = len(cells)
    if width > len(columns.header):
        if any(cell.strip() for cell in cells[len(columns.header) :]):
            return rejected(record, "", "too_many_cells")
    elif width < len(columns.header):
        cells = cells + [""] * (len(columns.header) - width)
    numbers = _numbers(record, cells, columns, region)
    if isinstance(numbers, Reject):
        return numbers
    name, reference, carrier = (
        _said(cells, columns.name),
        _said(cells, columns.reference),
        _said(cells, columns.carrier),
    )
    limits = (
        (columns.name, name, MAX_NAME, "name_too_long"),
        (columns.reference, reference, MAX_REFERENCE, "reference_too_long"),
        (columns.carrier, carrier, MAX_NAME, "cell_too_long"),
    )
    for place, text, limit, too_long in limits:
        if len(text) > limit:
            return rejected(record, columns.header[place or 0], too_long)
    priority = _priority("" if columns.priority is None else cells[columns.priority].strip())
    if priority is None:
        return rejected(record, columns.header[columns.priority or 0], "priority_invalid")
    fields = {key: cell for place, key in columns.fields if (cell := cells[place])}
    if numbers[0].extension:
        fields.setdefault(EXTENSION, numbers[0].extension)
    as_json = orjson.dumps(fields).decode()
    if (
        len(as_json) > MAX_CELL
        and (long := next((key for key, cell in fields.items() if len(cell) > MAX_CELL), None)) is not None
    ):
        return rejected(record, long, "cell_too_long")
    if "\0" in name + reference + carrier or ("\\u0000" in as_json and any("\0" in cell for cell in fields.values())):
        return rejected(record, "", "nul_character")
    first, others = numbers[0], ",".join(one.e164 for one in numbers[1:]) or None
    return LeadRow(
        line, first.e164, others, name, as_json, priority, reference or None, carrier or None, first.kind.value
    )


def _said(cells: Sequence[str], place: int | None) -> str:
    return "" if place is None else cells[place].strip()


def _priority(text: str) -> int | None:
    if not text:
        return 0
    whole = text.removeprefix("-").isdecimal() and len(text) < 6
    return int(text) if whole and int(text) in _PRIORITIES else None


def _numbers(record: Record, cells: Sequence[str], columns: Columns, region: str) -> tuple[PhoneNumber, ...] | Reject:
    """The numbers of a row in their order, each once."""
    at = columns.number
    try:
        numbers = read_cell(cells[at], region)
        if columns.other_numbers is None or not cells[columns.other_numbers].strip():
            return numbers
        at = columns.other_numbers
        numbers += tuple(one for one in read_cell(cells[at], region) if one.e164 not in {n.e164 for n in numbers})
    except BadInput as error:
        return Reject(record.line, columns.header[at], error.error_id, error.message, record.cells)
    return rejected(record, columns.header[at], "numbers_too_many") if len(numbers) > MAX_NUMBERS else numbers


def rejected(record: Record, column: str, error_id: str) -> Reject:
    """The row, for this reason."""
    return Reject(record.line, column, error_id, REASONS[error_id], record.cells)


def duplicate(row: LeadRow, cells: Sequence[str], columns: Columns, error_id: str) -> Reject:
    """A good row that is there already, by its number or by what tells people apart."""
    at = columns.number if columns.reference is None or error_id.startswith("duplicate_") else columns.reference
    return Reject(row.line, columns.header[at], error_id, REASONS[error_id], cells)

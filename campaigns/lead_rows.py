"""From a row of a file to a lead: which column is what, and what is wrong with a row. Knows nothing of the database."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from campaigns.csv_file import Record
from campaigns.errors import BadInput
from campaigns.leads import MAX_NAME
from campaigns.numbers import normalise

MAX_CELL: Final = 4000
MAX_COLUMNS: Final = 500
_PRIORITIES: Final = range(-1000, 1001)

_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "number": frozenset({
        "number", "phone", "phone number", "phone_number", "phonenumber", "mobile", "mobile number", "mobile_number", "mobile phone", "tel", "telephone",
        "cell", "cell phone", "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "联系手机", "号码", "移动电话",
    }),
    "name": frozenset({"name", "full name", "full_name", "customer", "customer name", "customer_name", "姓名", "客户", "客户姓名", "客户名称", "联系人", "名字"}),
    "priority": frozenset({"priority", "优先级"}),
}  # fmt: skip
"""Which headers (lower case, half width) are understood without being told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where things stand in a row: positions, and the others with the names they keep as fields."""

    header: tuple[str, ...]
    number: int
    name: int | None
    priority: int | None
    fields: tuple[tuple[int, str], ...]


class LeadRow(NamedTuple):
    """A good row, as it goes to the database; `fields` is JSON."""

    line: int
    number: str
    name: str
    fields: str
    priority: int


class Reject(NamedTuple):
    """A row that is given back: which line, which column (empty: the whole row), why, and the uploader's own cells."""

    line: int
    column: str
    error_id: str
    reason: str
    cells: Sequence[str]


REASONS: Final[Mapping[str, str]] = {
    "quotes_broken": "The quotation marks of this line do not match.",
    "cell_too_long": f"A cell has more than {MAX_CELL} characters.",
    "name_too_long": f"The name has more than {MAX_NAME} characters.",
    "nul_character": "The row contains a NUL character.",
    "too_many_cells": "The row has more cells than the header has columns.",
    "priority_invalid": f"The priority is not a whole number from {_PRIORITIES[0]} to {_PRIORITIES[-1]}.",
    "duplicate_in_file": "The same number is in the file already, further up.",
    "duplicate_in_project": "The project has a lead with this number already.",
}


def find_columns(header: Sequence[str], mapping: Mapping[str, str] | None = None) -> Columns:
    """Find the columns by their headers; `mapping` (`number`, `name`, `priority` → header) says what the file's headers do not.

    Errors: BadInput `header_without_number`, `header_ambiguous`, `header_duplicate`, `header_too_wide`, `mapping_invalid`.
    """
    names = tuple(name or f"column {place}" for place, name in enumerate(header, 1))
    if len(names) > MAX_COLUMNS:
        raise BadInput(
            "header_too_wide", f"The file has {len(names)} columns; {MAX_COLUMNS} are accepted.", columns=len(names)
        )
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise BadInput(
            "header_duplicate", f"Two columns are called {double[:80]}; rename one of them.", column=double[:80]
        )
    if any("\0" in name or len(name) > 200 for name in names):
        raise BadInput("header_broken", "The first line cannot be read as the names of the columns.", line=1)
    mapping = dict(mapping or {})
    wrong = next(
        (f"{ours}={theirs}" for ours, theirs in mapping.items() if ours not in _KNOWN or theirs not in names), None
    )
    if wrong is not None:
        raise BadInput(
            "mapping_invalid",
            f"The mapping {wrong[:200]} names nothing of ours, or no column of the file.",
            columns=list(names),
        )
    found: dict[str, int] = {}
    for ours, known in _KNOWN.items():
        places = (
            [names.index(mapping[ours])]
            if ours in mapping
            else [at for at, name in enumerate(names) if _plain(name) in known]
        )
        if len(places) > 1:
            raise BadInput(
                "header_ambiguous",
                f"Several columns could be the {ours}; say which one.",
                columns=[names[place] for place in places],
                wanted=ours,
            )
        if places:
            found[ours] = places[0]
    if "number" not in found:
        raise BadInput(
            "header_without_number",
            "No column is known as the telephone number; say which one it is.",
            columns=list(names),
        )
    others = tuple((place, name) for place, name in enumerate(names) if place not in found.values())
    return Columns(
        header=names, number=found["number"], name=found.get("name"), priority=found.get("priority"), fields=others
    )


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().lower()


def read_row(record: Record, columns: Columns, region: str) -> LeadRow | Reject:
    """What a record of the file is: a lead, or a row to give back. `region`: where numbers without a country code belong."""
    line, cells, error_id = record
    if error_id is not None:
        return Reject(line, "", error_id, REASONS[error_id], cells)
    width = len(cells)
    if width > len(columns.header):
        if any(cell.strip() for cell in cells[len(columns.header) :]):
            return _reject(record, "", "too_many_cells")
    elif width < len(columns.header):
        cells = cells + [""] * (len(columns.header) - width)
    try:
        number = normalise(cells[columns.number], region).e164
    except BadInput as error:
        return Reject(line, columns.header[columns.number], error.error_id, error.message, record.cells)
    name = "" if columns.name is None else cells[columns.name].strip()
    if len(name) > MAX_NAME:
        return _reject(record, columns.header[columns.name or 0], "name_too_long")
    priority = 0
    if columns.priority is not None and (text := cells[columns.priority].strip()):
        if not (text.removeprefix("-").isdecimal() and len(text) < 6 and int(text) in _PRIORITIES):
            return _reject(record, columns.header[columns.priority], "priority_invalid")
        priority = int(text)
    fields = {key: cell for place, key in columns.fields if (cell := cells[place])}
    as_json = orjson.dumps(fields).decode()
    if (
        len(as_json) > MAX_CELL
        and (long := next((key for key, cell in fields.items() if len(cell) > MAX_CELL), None)) is not None
    ):
        return _reject(record, long, "cell_too_long")
    if "\0" in name or ("\\u0000" in as_json and any("\0" in cell for cell in fields.values())):
        return _reject(record, "", "nul_character")
    return LeadRow(line, number, name, as_json, priority)


def _reject(record: Record, column: str, error_id: str) -> Reject:
    return Reject(record.line, column, error_id, REASONS[error_id], record.cells)


def duplicate(row: LeadRow, cells: Sequence[str], columns: Columns, *, in_file: bool) -> Reject:
    """A good row that is there already."""
    error_id = "duplicate_in_file" if in_file else "duplicate_in_project"
    return Reject(row.line, columns.header[columns.number], error_id, REASONS[error_id], cells)

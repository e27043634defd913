"""Tables for people to open in a spreadsheet: CSV in their encoding, or xlsx. Nothing in them is read as a formula there (OWASP, CSV injection)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import xlsxwriter

from campaigns.tables.table import FileFacts, TableFormat

MAX_SHEET_ROWS: Final = 1 << 20
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "|", "%")
LONGEST_CELL: Final = 32_000
"""Characters; what a spreadsheet takes (Excel: 32,767)."""


class Writer(Protocol):
    """Takes rows of texts, the first of them the header."""

    def row(self, cells: Sequence[str]) -> None:
        """Write a row."""
        ...

    def close(self) -> None:
        """Write out what is left."""
        ...


def neutralise(cell: str) -> str:
    """The cell as text that no spreadsheet takes for a formula: an apostrophe goes before whatever could begin one."""
    text = cell.replace("\0", "\N{SYMBOL FOR NULL}")
    return "'" + text if text.lstrip(" \u00a0\u3000").startswith(_FORMULA_STARTS) else text


class CsvWriter:
    """A CSV file. A character that the encoding has not is written as a backslash escape: nothing is lost, nothing breaks the file."""

    def __init__(self, path: Path, *, encoding: str, delimiter: str = ",") -> None:
        self._file = path.open("w", encoding=encoding, errors="backslashreplace", newline="")
        self._writer = csv.writer(self._file, delimiter=delimiter)

    def row(self, cells: Sequence[str]) -> None:
        """Write a row."""
        self._writer.writerow(map(neutralise, cells))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class XlsxWriter:
    """A workbook in constant memory; every cell is a text, so there is no formula in it. What is too much for one sheet goes on in the next, under the same header."""

    def __init__(self, path: Path) -> None:
        options = {"constant_memory": True, "tmpdir": str(path.parent)}
        self._book: Any = xlsxwriter.Workbook(str(path), options)
        self._sheet: Any = None
        self._at = MAX_SHEET_ROWS
        self._header: Sequence[str] = ()

    def row(self, cells: Sequence[str]) -> None:
        """Write a row."""
        if self._at == MAX_SHEET_ROWS:
            self._sheet, self._at = self._book.add_worksheet(), 0
            if self._header:
                self._write(self._header)
            else:
                self._header = list(cells)
        self._write(cells)

    def _write(self, cells: Sequence[str]) -> None:
        for column, cell in enumerate(cells):
            if cell:
                self._sheet.write_string(self._at, column, cell[:LONGEST_CELL])
        self._at += 1

    def close(self) -> None:
        """Finish the workbook."""
        self._book.close()


def suffix_like(facts: FileFacts) -> str:
    """The end of the name of a file that goes back to whoever sent such a one. For workbooks of every kind it is xlsx, which the same programs open."""
    if facts.format is TableFormat.CSV:
        return ".tsv" if facts.delimiter == "\t" else ".csv"
    return ".xlsx"


def writer_like(facts: FileFacts, path: Path) -> Writer:
    """A writer of files such as the one with these facts: its own encoding and delimiter, or a workbook."""
    if facts.format is TableFormat.CSV:
        return CsvWriter(path, encoding=facts.encoding, delimiter=facts.delimiter)
    return XlsxWriter(path)

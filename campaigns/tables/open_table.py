"""Opens whatever somebody has sent, by what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from campaigns.errors import BadInput
from campaigns.tables.csv_file import CsvFile
from campaigns.tables.sheet_file import SheetFile, zip_format
from campaigns.tables.table import IsHeader, Table, TableFormat

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS: Final = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"Rar!": "an archive",
    b"7z\xbc\xaf": "an archive",
    b"\x1f\x8b": "an archive",
    b"{\\rtf": "a text document",
    b"SQLite format 3": "a database",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
}
_MARKUP: Final = ("<html", "<!doctype", "<table", "<?xml", "<meta")


def open_table(
    path: Path, is_header: IsHeader | None, *, encoding: str | None = None, sheet: str | None = None
) -> Table:
    """Open a list. `encoding` (of a CSV file) and `sheet` (of a workbook) are answers of a person; without them what is not certain is asked, not guessed.

    Errors: BadInput `format_unknown`; those of `CsvFile` and `SheetFile`.
    """
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(_COMPOUND):
        return SheetFile(path, TableFormat.XLS, is_header, sheet=sheet)
    if head.startswith(_ZIP):
        species = zip_format(path)
        if species is None:
            raise _unknown("an archive or a document")
        return SheetFile(path, species, is_header, sheet=sheet)
    other = next((what for magic, what in _OTHERS.items() if head.startswith(magic)), None)
    if other is None and head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith(tuple(map(str.encode, _MARKUP))):
        other = "a web page or XML under another name"
    if other is not None:
        raise _unknown(other)
    return CsvFile(path, is_header, encoding=encoding)


def _unknown(what: str) -> BadInput:
    return BadInput(
        "format_unknown", f"This is {what}, not a list; save it as CSV, xlsx, xls or ods and try again.", found=what
    )

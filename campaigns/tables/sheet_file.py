"""A sheet of a workbook as a table. The parser runs apart (`sheet_reader.py`), so a hostile file costs a process and an error, never this one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import orjson

from campaigns.errors import BadInput
from campaigns.tables.table import FileFacts, IsHeader, Record, TableFormat, split_header

MAX_UNPACKED: Final = 4 << 30
"""Bytes: what a workbook may say it unpacks to."""

MAX_RATIO: Final = 1000
_SPECIES: Final = (
    ("xl/workbook.xml", TableFormat.XLSX),
    ("xl/workbook.bin", TableFormat.XLSB),
    ("content.xml", TableFormat.ODS),
)


def zip_format(path: Path) -> TableFormat | None:
    """What a zip archive is; None when it is no workbook. Errors: BadInput `file_broken`, `file_too_large_inside`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _broken() from error
    unpacked, packed = sum(one.file_size for one in members), sum(one.compress_size for one in members)
    if unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(packed, 1 << 16):
        raise BadInput(
            "file_too_large_inside",
            "The workbook unpacks to more than is read from one: split it, or save it as CSV.",
            bytes=unpacked,
        )
    names = {one.filename for one in members}
    return next((species for name, species in _SPECIES if name in names), None)


def _broken() -> BadInput:
    return BadInput("file_broken", "The workbook is damaged or cut off: open it, save it again and try once more.")


class SheetFile:
    """One sheet of a workbook: a `Table`.

    Errors at opening: BadInput `file_broken`, `file_protected`, `file_empty`, `sheet_unknown`, `sheet_ambiguous`, `sheet_too_large`; those of `split_header`.
    While reading: BadInput `file_broken`, `sheet_too_large`.
    """

    def __init__(
        self, path: Path, species: TableFormat, is_header: IsHeader | None, *, sheet: str | None = None
    ) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        size = path.stat().st_size
        self._row = 0
        command = [sys.executable, "-m", "campaigns.tables.sheet_reader", str(path.absolute())]
        self._reader = subprocess.Popen(
            command + ([] if sheet is None else [sheet]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
        assert self._reader.stdout is not None  # noqa: S101  # it is a pipe
        self._stream: IO[bytes] = self._reader.stdout
        try:
            opened = self._heard()
            self._height: int = max(opened["rows"], 1)
            self.facts = FileFacts(format=species, size=size, sha256=digest, sheet=opened["sheet"])
            self.header, self.above, self._records = split_header(self._read(), is_header)
        except BaseException:
            self.close()
            raise

    def _heard(self) -> Any:
        line = self._stream.readline()
        if not line.endswith(b"\n"):
            code = self._reader.wait()
            raise BadInput(
                "sheet_too_large",
                "Reading this workbook takes more memory or time than is given to one: save it as CSV and try again.",
                exit_code=code,
            )
        said = orjson.loads(line)
        if isinstance(said, dict) and "error_id" in said:
            raise BadInput(said["error_id"], said["message"], **said["detail"])
        return said

    def _read(self) -> Iterator[Record]:
        number = 0
        while isinstance(rows := self._heard(), list):
            for cells in rows:
                number += 1
                if any(cells):
                    self._row = number
                    yield Record(number, cells)

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def position(self) -> int:
        """As far into the file as into its rows: for progress."""
        return min(self._row * self.facts.size // self._height, self.facts.size)

    def close(self) -> None:
        """End the reader."""
        self._stream.close()
        self._reader.kill()
        self._reader.wait()

"""The file that goes back to the uploader: every row that was not taken, with its line, column and reason, in their own columns and encoding.

It will be opened in a spreadsheet, so nothing in it may be read as a formula there (OWASP, CSV injection).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from campaigns.lead_rows import Reject

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "|", "%")
_LONGEST: Final = 4000


def neutralise(cell: str) -> str:
    """The cell as text that no spreadsheet takes for a formula: an apostrophe goes before whatever could begin one."""
    text = cell[:_LONGEST].replace("\0", "\N{SYMBOL FOR NULL}")
    return "'" + text if text.lstrip(" \u00a0\u3000").startswith(_FORMULA_STARTS) else text


class RejectFile:
    """Writes rows as they come; the file is made with the first one, so that no rows means no file."""

    def __init__(self, path: Path, header: Sequence[str], *, encoding: str, delimiter: str) -> None:
        self.path, self.count = path, 0
        self._header, self._encoding, self._delimiter = header, encoding, delimiter
        self._file: Any = None
        self._writer: Any = None

    def write(self, rejects: Iterable[Reject]) -> None:
        """Add rows."""
        for reject in rejects:
            if self._writer is None:
                self._file = self.path.open("w", encoding=self._encoding, newline="")
                self._writer = csv.writer(self._file, delimiter=self._delimiter)
                self._writer.writerow(["line", "column", "error_id", "reason", *map(neutralise, self._header)])
            self._writer.writerow(
                [reject.line, neutralise(reject.column), reject.error_id, reject.reason, *map(neutralise, reject.cells)]
            )
            self.count += 1

    def close(self) -> None:
        """Write out what is left."""
        if self._file is not None:
            self._file.close()

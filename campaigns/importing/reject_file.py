"""The file that goes back to the uploader: every row that was not taken, with its line, column and reason, in their own columns, encoding and format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from campaigns.importing.rows import Reject
from campaigns.tables.table import FileFacts
from campaigns.tables.writing import Writer, suffix_like, writer_like

OURS: Final = ("line", "column", "error_id", "reason")
"""The columns that go before theirs."""

_LONGEST: Final = 4000


class RejectFile:
    """Writes rows as they come; the file is made with the first one, so that no rows means no file."""

    def __init__(self, directory: Path, name: str, header: Sequence[str], facts: FileFacts) -> None:
        self.path, self.count = directory / (name + suffix_like(facts)), 0
        self._header, self._facts = header, facts
        self._writer: Writer | None = None

    def write(self, rejects: Iterable[Reject]) -> None:
        """Add rows."""
        for reject in rejects:
            if self._writer is None:
                self._writer = writer_like(self._facts, self.path)
                self._writer.row([*OURS, *self._header])
            cells = [cell[:_LONGEST] for cell in reject.cells]
            self._writer.row([str(reject.line), reject.column, reject.error_id, reject.reason, *cells])
            self.count += 1

    def close(self) -> None:
        """Write out what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

"""What a volume says of its recordings: the frozen rows, and from them a table for people (csv), a database (SQLite) and a page that plays.

    rows.jsonl        one object a recording, in the order of its path: the whole rows of `recordings`, `attempts` and the lead; from them the
                      ledger is rebuilt when all else is lost. They hold full numbers, so they are sealed where recordings are: rows.jsonl.sealed
    project.json      the project's row
    catalogue.csv     for people; numbers masked where the project masks them
    catalogue.sqlite  the same, to search in

Equal rows give equal bytes.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from recorder.archive.page import page
from recorder.keyring import Keyring
from recorder.sealing import Opener, Seal, SealingSink

FOLDER: Final = "catalogue"
ROWS: Final = "rows.jsonl"
SEALED_ROWS: Final = "rows.jsonl.sealed"
PROJECT: Final = "project.json"
RECORDINGS: Final = "data/recordings/"
_BLOCK: Final = 1 << 20
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A recording as people look for it. `file` is relative to the volume's `data/`; `sealed` 1: it is encrypted, and plays only where its key is;
    `pauses`: the stretches that were not recorded, in seconds, and why.
    """

    call: str
    file: str
    started_at: str
    duration_ms: int
    number: str
    agent: str
    outcome: str
    disposition: str
    bytes: int
    sha256: str
    sealed: int
    pauses: str


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The frozen rows."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def line_of(row: dict[str, Any], mask: Callable[[str], str]) -> Line:
    """What people see of a frozen row."""
    recording, attempt = row["recording"], row["attempt"]
    return Line(
        call=recording["attempt_id"],
        file=f"recordings/{recording['path']}",
        started_at=recording["started_at"] or recording["created_at"],
        duration_ms=recording["duration_ms"] or 0,
        number=mask(attempt["number"]),
        agent=recording["agent_id"] or "",
        outcome=attempt["outcome"] or "",
        disposition=attempt["disposition"] or "",
        bytes=recording["bytes"],
        sha256=recording["sha256"].removeprefix("\\x"),
        sealed=int(recording["project_key_id"] is not None),
        pauses="; ".join(_pause(one) for one in recording.get("pauses", ())),
    )


def _pause(one: dict[str, Any]) -> str:
    until = "end" if one["to_ms"] is None else f"{one['to_ms'] / 1000:.1f}"
    return f"{one['from_ms'] / 1000:.1f}-{until} {one['reason']}"


def rows_seal(volume_id: UUID, ring: Keyring, *, master: str, rows_sha256: bytes) -> Seal:
    """The key of a volume's rows: derived, so it is the same for a volume that is built again, and another for other rows."""
    return Seal(attempt_id=volume_id, key=ring.derive(f"archive rows {volume_id} {rows_sha256.hex()}", master=master))


def put_rows(rows: Path, folder: Path, seal: Seal | None) -> None:
    """The rows as the volume holds them. Blocking."""
    if seal is None:
        shutil.copyfile(rows, folder / ROWS)
        return
    with rows.open("rb") as source, (folder / SEALED_ROWS).open("wb") as sink:
        writer = SealingSink(sink, seal)
        while block := source.read(_BLOCK):
            writer.write(block)
        writer.finish()


def open_rows(sealed: bytes, seal: Seal) -> bytes:
    """The rows of sealed ones. Raises FileGone `recording_file_altered`."""
    opener = Opener(seal, len(sealed))
    opener.check_head(sealed)
    stretch = opener.stretch(0, opener.content_bytes)
    return opener.open(stretch, sealed[stretch.start : stretch.stop])


def describe(rows: Path, project: dict[str, Any], data: Path, label: str, mask: Callable[[str], str]) -> list[Line]:
    """Write catalogue and page under the volume's `data/`. Gives the lines. Blocking."""
    lines = [line_of(row, mask) for row in read_rows(rows)]
    folder = data / FOLDER
    (folder / PROJECT).write_text(
        json.dumps(project, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    names = [field.name for field in fields(Line)]
    with (folder / "catalogue.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(names)
        writer.writerows([_cell(getattr(line, name)) for name in names] for line in lines)
    _write_sqlite(folder / "catalogue.sqlite", lines)
    (data / "index.html").write_text(page(label, str(project["name"]), lines), encoding="utf-8")
    return lines


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula is quoted."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _write_sqlite(path: Path, lines: list[Line]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("pragma journal_mode = off")
        connection.execute("pragma page_size = 4096")
        connection.execute("begin")
        connection.execute(
            "create table recordings (call text primary key, file text not null, started_at text not null, duration_ms integer not null, "
            "number text not null, agent text not null, outcome text not null, disposition text not null, bytes integer not null, "
            "sha256 text not null, sealed integer not null, pauses text not null) without rowid"
        )
        marks = ", ".join("?" * len(fields(Line)))
        connection.executemany(
            f"insert into recordings values ({marks})",  # noqa: S608  # only question marks
            ([getattr(line, field.name) for field in fields(Line)] for line in lines),
        )
        connection.execute("create index recordings_started on recordings (started_at)")
        connection.execute("create index recordings_number on recordings (number)")
        connection.execute("commit")
    finally:
        connection.close()

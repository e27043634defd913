"""A bundle of recordings for people: files named as their project names them, and an index that opens by double click. Pure but for the sheet's format.

A pattern is a path with fields in braces, for example `{date}/{agent}-{number}-{time}`. What comes from outside never becomes more than a part of a file name.
"""

from __future__ import annotations

import html
import io
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import xlsxwriter

from recorder.errors import BadBundle

DEFAULT_PATTERN: Final = "{date}/{time}_{agent}_{number}_{disposition}"
FIELDS: Final = ("date", "time", "project", "agent", "number", "disposition", "lead", "call", "minutes")
_LONGEST_PART: Final = 100
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A recording of a bundle. `started_at` is in the project's zone; `number` is masked where the project masks numbers."""

    recording_id: UUID
    attempt_id: UUID
    project: str
    started_at: datetime
    duration_ms: int
    agent: str
    number: str
    disposition: str
    note: str
    lead_id: int | None
    sha256: str  # of the sound as it is kept


def check_pattern(pattern: str) -> None:
    """Raises BadBundle `bundle_pattern_invalid`."""
    try:
        parts = [
            "" if spec or conversion else field
            for _, field, spec, conversion in string.Formatter().parse(pattern)
            if field is not None
        ]
    except ValueError:
        parts = [""]
    wrong = [field for field in parts if field not in FIELDS]
    if (
        wrong
        or not pattern
        or pattern.startswith("/")
        or len(pattern) > 200
        or any(part in {"", ".", ".."} for part in pattern.split("/"))
    ):
        raise BadBundle(
            "bundle_pattern_invalid",
            f"The pattern of names cannot be used. It is a path of these fields in braces: {', '.join(FIELDS)}.",
        )


def names(entries: Sequence[Entry], pattern: str) -> list[str]:
    """A path below the bundle for each entry, no two alike whatever the letters' case. Raises BadBundle."""
    check_pattern(pattern)
    taken: set[str] = set()
    made = []
    for one in entries:
        stem, number = "/".join(_part(part, one) for part in pattern.split("/")), 1
        name = f"{stem}.opus"
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}.opus"
        taken.add(name.casefold())
        made.append(name)
    return made


def _part(pattern: str, one: Entry) -> str:
    fields = {
        "date": f"{one.started_at:%Y-%m-%d}", "time": f"{one.started_at:%H%M%S}", "project": one.project, "agent": one.agent or "-",
        "number": one.number.replace("*", "x"), "disposition": one.disposition or "-", "lead": str(one.lead_id or "-"),
        "call": one.attempt_id.hex, "minutes": str(round(one.duration_ms / 60_000)),
    }  # fmt: skip
    text = unicodedata.normalize("NFC", _UNSAFE.sub("_", pattern.format_map(fields))).strip(" .")[:_LONGEST_PART]
    return f"_{text}" if not text or _RESERVED.fullmatch(text) else text


_COLUMNS: Final = ("file", "date", "time", "agent", "number", "result", "seconds", "note", "call", "sha256")


def _row(name: str, one: Entry) -> list[str | int]:
    return [
        name, f"{one.started_at:%Y-%m-%d}", f"{one.started_at:%H:%M:%S}", one.agent, one.number, one.disposition, one.duration_ms // 1000, one.note,
        str(one.attempt_id), one.sha256,
    ]  # fmt: skip


def index_xlsx(files: Sequence[tuple[str, Entry]]) -> bytes:
    """The index as a sheet. Every text is a text: nothing in it is a formula or a link, whatever it looks like."""
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet("index")
        bold = book.add_format({"bold": True})
        for column, title in enumerate(_COLUMNS):
            sheet.write_string(0, column, title, bold)
        for line, (name, one) in enumerate(files, start=1):
            for column, value in enumerate(_row(name, one)):
                if isinstance(value, int):
                    sheet.write_number(line, column, value)
                else:
                    sheet.write_string(line, column, value[:32_000])
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, 0, 50)
    return out.getvalue()


def index_html(files: Sequence[tuple[str, Entry]], title: str) -> bytes:
    """The index as a page that plays the files beside it, offline."""
    head = "".join(f"<th>{column}</th>" for column in ("", *_COLUMNS))
    rows = "\n".join(_html_row(name, one) for name, one in files)
    page = f"""<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; media-src 'self' file:; style-src 'unsafe-inline'">
<style>body {{ font: 14px sans-serif }} td, th {{ padding: 2px 8px; text-align: left; border-bottom: 1px solid #ddd }} audio {{ height: 28px }}</style>
</head><body><h1>{html.escape(title)}</h1><table><tr>{head}</tr>
{rows}
</table></body></html>
"""
    return page.encode()


def _html_row(name: str, one: Entry) -> str:
    source = html.escape("/".join(map(_quoted, name.split("/"))))
    cells = "".join(f"<td>{html.escape(str(value))}</td>" for value in _row(name, one))
    return f'<tr><td><audio controls preload="none" src="{source}"></audio></td>{cells}</tr>'


def _quoted(part: str) -> str:
    return "".join(
        char if char.isalnum() or char in "-_." else "".join(f"%{byte:02X}" for byte in char.encode()) for char in part
    )

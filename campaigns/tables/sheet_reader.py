"""Reads one sheet of a workbook, in a process of its own: `python -m campaigns.tables.sheet_reader PATH [SHEET]`.

A workbook is a program somebody else has written for a parser: a few kilobytes can ask for terabytes of rows. Here it may use so much memory and time
and no more, and whatever it breaks is this process and not the one that dials. On standard output, a JSON value in each line: what was opened,
then lists of rows (each a list of texts, from the sheet's first row on), then how many rows there were; or an error.
"""

from __future__ import annotations

import datetime as dt
import gc
import resource
import sys
from pathlib import Path
from typing import Any, Final

import orjson
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

MAX_MEMORY: Final = 4 << 30
MAX_CPU_S: Final = 600
ROWS_A_LINE: Final = 2000
EXACT: Final = 10**15
"""From here on a spreadsheet's number has lost digits (it keeps 15 or 16): it is shown as it is, not as an exact whole number."""


def main() -> int:
    """Read, write, end."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    gc.disable()  # millions of texts, and no circle among them
    path, wanted = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            sheet = _choose(workbook, wanted)
            if isinstance(sheet, dict):
                _say(sheet)
            else:
                _say({"sheet": sheet.name, "rows": sheet.total_height})
                _say({"rows": _rows(sheet)})
    except PasswordError:
        _say(_error("file_protected", "The workbook is protected by a password: save it without one and try again."))
    except CalamineError as error:
        if "limit exceeded" in str(error):
            _say(
                _error(
                    "sheet_too_large",
                    "The sheet says it has more cells than are read from one: save it as CSV and try again.",
                )
            )
        else:
            _say(_error("file_broken", "The workbook is damaged or cut off: open it, save it again and try once more.", parser=str(error)[:200]))  # fmt: skip
    sys.stdout.buffer.flush()
    return 0


def _choose(workbook: CalamineWorkbook, wanted: str | None) -> CalamineSheet | dict[str, Any]:
    """The sheet that was named, or the only visible one with something in it; else an error."""
    sheets = [one for one in workbook.sheets_metadata if one.typ is SheetTypeEnum.WorkSheet]
    names = [one.name for one in sheets]
    if wanted is not None:
        if wanted in names:
            return workbook.get_sheet_by_name(wanted)
        return _error("sheet_unknown", "The workbook has no such sheet.", sheets=names)
    names = [one.name for one in sheets if one.visible is SheetVisibleEnum.Visible]
    filled: list[CalamineSheet] = []
    for name in names:
        sheet = workbook.get_sheet_by_name(name)  # parsed each time it is asked for
        if sheet.start is not None:
            filled.append(sheet)
    if len(filled) == 1:
        return filled[0]
    if not filled:
        return _error("file_empty", "No visible sheet of the workbook has anything in it.", sheets=names)
    return _error("sheet_ambiguous", "Several sheets have something in them; say sheet= with the one to read.", sheets=[sheet.name for sheet in filled])  # fmt: skip


def _error(error_id: str, message: str, **detail: object) -> dict[str, Any]:
    return {"error_id": error_id, "message": message, "detail": detail}


def _say(value: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, default=str) + b"\n")


def _rows(sheet: CalamineSheet) -> int:
    count, some = 0, []
    for row in sheet.iter_rows():
        some.append([cell if type(cell) is str else text_of(cell) for cell in row])
        if len(some) == ROWS_A_LINE:
            _say(some)
            count += len(some)
            some = []
    if some:
        _say(some)
    return count + len(some)


def text_of(cell: object) -> str:
    """A cell as its text: whole numbers without a point, dates as ISO 8601, TRUE and FALSE; a number that lost digits keeps its exponent."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < EXACT else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, (dt.date, dt.time)):
        return cell.isoformat()
    return str(cell)


if __name__ == "__main__":
    sys.exit(main())

"""The call records Asterisk writes; after a restart they are the truth about calls that ended without us."""

from __future__ import annotations

import asyncio
import csv
import os
from pathlib import Path

from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

_TAIL_BYTES = 8192


async def file(settings: Settings) -> list[Finding]:
    """The file's directory is there, and what is in the file can be read."""
    return [await asyncio.to_thread(judge, settings.cdr_file)]


def judge(path: Path) -> Finding:
    """One call record file. It need not be there before the first call."""
    cure = (
        "Let cdr_custom write it where WAIHU_CDR_FILE says (waihu asterisk configure does), and let this user read it."
    )
    if not path.parent.is_dir():
        return fault("cdr", f"{path.parent} is not there", cure)
    if not path.exists():
        return warning(
            "cdr",
            f"{path} is not there yet",
            "Nothing, before the first call, or the first since it was rotated. After it: " + cure,
        )
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES), os.SEEK_SET)
            tail = stream.read()
    except OSError as error:
        return fault("cdr", f"{path} cannot be read: {error.strerror}", cure)
    lines = tail.decode("utf-8", "replace").splitlines()
    if not lines:
        return ok("cdr", f"{path}: empty, no call yet")
    fields = next(csv.reader([lines[-1]]), [])
    if len(fields) < 5:
        return fault(
            "cdr",
            f"{path}: the last line has {len(fields)} fields",
            "Another program writes this file, or its mapping was changed: " + cure,
        )
    return ok("cdr", f"{path}: {path.stat().st_size} bytes, {len(fields)} fields a call")

"""Starting the programs that the archive stands on: xorriso and dvdisaster. No shell, a deadline, and their last words when they fail."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from recorder.errors import ArchiveError

_PROGRESS: Final = re.compile(r"[^\r\b\n]*%[^\r\b\n]*")
_LAST_WORDS: Final = 400


def run(command: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run to the end and give what it said. Blocking. Raises ArchiveError `archive_program_missing`, `archive_program_failed`."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise missing(command[0]) from None
    except subprocess.TimeoutExpired:
        raise ArchiveError("archive_program_failed", f"{command[0]} did not end within {timeout_s:.0f} s.") from None
    said = done.stdout.decode("utf-8", errors="replace")
    if done.returncode:
        raise failed(command[0], done.returncode, said)
    return said


def missing(program: str) -> ArchiveError:
    """The program is not installed."""
    return ArchiveError(
        "archive_program_missing",
        f"{program} is not installed: apt-get install xorriso dvdisaster (scripts/bootstrap.sh does).",
    )


def failed(program: str, code: int, said: str) -> ArchiveError:
    """It ended with an error; progress lines are left out of its last words."""
    words = " ".join(_PROGRESS.sub(" ", said).split())[-_LAST_WORDS:]
    return ArchiveError("archive_program_failed", f"{program} ended with {code}: {words}")

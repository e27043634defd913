"""Starting the programs that the archive stands on: xorriso and dvdisaster. No shell, a deadline, and their last words when they fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from recorder.errors import ArchiveError

_PROGRESS: Final = re.compile(r"[^\r\b\n]*%[^\r\b\n]*")
_LAST_WORDS: Final = 400
_ENDING: Final = ("setpriv", "--pdeathsig", "KILL", "--")


def run(command: Sequence[str], *, timeout_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run to the end and give what it said. Blocking. Raises ArchiveError `archive_program_missing`, `archive_program_failed`."""
    try:
        done = subprocess.run(
            ending_with_us(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArchiveError("archive_program_failed", f"{command[0]} did not end within {timeout_s:.0f} s.") from None
    said = done.stdout.decode("utf-8", errors="replace")
    if done.returncode:
        raise failed(command[0], done.returncode, said)
    return said


def ending_with_us(command: Sequence[str]) -> list[str]:
    """The command so that the kernel ends it (SIGKILL) when we are killed. Raises ArchiveError `archive_program_missing`.

    A program that went on alone would write into the image or the disc that the next run is making. It ends with the thread that starts it, which
    therefore has to wait for it.
    """
    for program in (_ENDING[0], command[0]):
        if shutil.which(program) is None:
            raise missing(program)
    return [*_ENDING, *command]


def missing(program: str) -> ArchiveError:
    """The program is not installed."""
    return ArchiveError(
        "archive_program_missing",
        f"{program} is not installed: apt-get install xorriso dvdisaster util-linux (scripts/bootstrap.sh does).",
    )


def failed(program: str, code: int, said: str) -> ArchiveError:
    """It ended with an error; progress lines are left out of its last words."""
    words = " ".join(_PROGRESS.sub(" ", said).split())[-_LAST_WORDS:]
    return ArchiveError("archive_program_failed", f"{program} ended with {code}: {words}")

"""What holds services of a checkout (the demo, chaos, the tests) ends with the `make` that started it, and is known to `make clean`."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path

from lab import reaper

_PR_SET_PDEATHSIG = 1
PID_NAME = "runner"


def enrol(directory: Path, starters: Collection[str] = ("make", "gmake")) -> None:
    """Record this process under `directory`, and have it told to end (SIGTERM) when its parent is gone and that is `make`.

    Ctrl-C and SIGTERM are passed on by `make` itself; its kill -9 would leave us behind. Who starts us by hand may log out.
    Called before the first service is started: what those leave behind is the reaper's.
    """
    pid = os.getpid()
    path = directory / f"{PID_NAME}-{pid}.pid"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid} {reaper.born(pid) or 0}\n", encoding="ascii")
    atexit.register(_withdraw, path, pid)
    parent = os.getppid()
    if _name(parent) not in starters:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # it went before we could ask
        os.kill(pid, signal.SIGTERM)


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _withdraw(path: Path, pid: int) -> None:
    if os.getpid() == pid:
        path.unlink(missing_ok=True)

"""Real-time priority for what must be on time to the millisecond, as `asterisk -p` takes it; other work on the machine then does not show as gaps."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_ROOT_GROUP = Path("/sys/fs/cgroup/cpu/cgroup.procs")


def put_ahead(pid: int, priority: int = 10) -> bool:
    """Round-robin real time for all threads of a process, and those they start; False when it is not permitted here."""
    with contextlib.suppress(OSError):  # groups of cgroup v1 have no real-time share of their own
        _ROOT_GROUP.write_text(str(pid), encoding="ascii")
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        return False
    return True

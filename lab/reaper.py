"""The last one out: ends what a process of the lab started, when that process is gone, however it went.

Runs as a process of its own (`python reaper.py`), standard library only, with the read end of a pipe as standard input. One JSON
object a line: {"watch": pid, "born": ticks, "signal": 15} for a process group, {"undo": id, "argv": [...], "env": {...}} for a command that
removes something (a container), {"forget": pid or id} when it was ended in the orderly way. End of file means: the parent is gone.
A parent-death signal would not do: it is bound to the thread that forked, and lost when the child changes its user.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_GRACE_S = 5.0


def born(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; with the pid it names a process for ever. None: no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(") ")[2].split()
    return None if state in "ZX" else int(rest[18])


def descendants(pid: int) -> list[int]:
    """The process and all its children and theirs, parents first. PostgreSQL's children leave the process group."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        children.setdefault(int(stat.rpartition(") ")[2].split()[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, ()))
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL to the whole process group and to descendants that left it."""
    for member in descendants(pid):
        _send(member, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def family(pid: int) -> dict[int, int]:
    """The process and its descendants, each with its start time: to be asked for before it is told to end, for end_family."""
    return {member: ticks for member in descendants(pid) if (ticks := born(member)) is not None}


def end_family(members: dict[int, int]) -> None:
    """SIGKILL to those that still live: children a program left behind when it ended, or did not get to end."""
    for pid, ticks in members.items():
        if born(pid) == ticks:
            kill_tree(pid)


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _finish(groups: dict[int, tuple[int, int]], undo: dict[str, tuple[list[str], dict[str, str]]]) -> None:
    alive = {pid: number for pid, (ticks, number) in groups.items() if born(pid) == ticks}
    families = [family(pid) for pid in alive]
    for pid, number in alive.items():
        _send(pid, number)
    for argv, env in undo.values():
        try:
            subprocess.run(
                argv,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
    deadline = time.monotonic() + _GRACE_S
    while any(born(pid) == groups[pid][0] for pid in alive) and time.monotonic() < deadline:
        time.sleep(0.05)
    for members in families:
        end_family(members)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C is for the parent; the end of the pipe is for us
    groups: dict[int, tuple[int, int]] = {}
    undo: dict[str, tuple[list[str], dict[str, str]]] = {}
    for line in sys.stdin:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # cut off in the middle of a line: the parent was killed while it wrote
        if "watch" in entry:
            groups[entry["watch"]] = (entry["born"], entry["signal"])
        elif "undo" in entry:
            undo[entry["undo"]] = (entry["argv"], entry["env"])
        else:
            groups.pop(entry["forget"], None)
            undo.pop(entry["forget"], None)
    _finish(groups, undo)


if __name__ == "__main__":
    main()

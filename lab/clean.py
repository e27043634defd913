"""Stops what still runs from this checkout and empties podman's storage, so that .run can be removed (`make clean`).

Ends processes by the number and start time they were recorded with, containers by the checkout they are labelled with. Runs with the
system's Python: standard library only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab import reaper
from lab.container_runtime import CHECKOUT, CHECKOUT_LABEL, Runtime, end_pause, find_runtime
from lab.errors import LabError
from lab.image import image_name
from lab.runner import PID_NAME

_GRACE_S = 10.0
_RUNNER_GRACE_S = 60.0


def main() -> int:
    run = CHECKOUT / ".run"
    stop_processes(run)
    try:
        runtime = find_runtime()
    except LabError:
        return 0  # nothing can have been started without one
    _remove_containers(runtime)
    if runtime.kind == "podman":
        _empty_storage(runtime, run / "containers")
    else:
        runtime.run("image", "rm", image_name(runtime))  # stays when another checkout's container uses it
    return 0


def stop_processes(run: Path) -> None:
    """End everything recorded under `run`; back when it is gone."""
    # First who holds the others: it ends them in its own order, and would only see failures if they went before it.
    _stop(_recorded(run, f"{PID_NAME}-*.pid"), [signal.SIGTERM], _RUNNER_GRACE_S)
    _stop(_recorded(run, "*.pid"), [signal.SIGINT, signal.SIGTERM], _GRACE_S)


def _recorded(run: Path, pattern: str) -> dict[int, int]:
    """Processes that still live: number → start time. A number that has gone to another process since is none of ours."""
    found = {}
    for path in run.rglob(pattern) if run.exists() else ():
        if "containers" in path.relative_to(run).parts:
            continue
        with contextlib.suppress(OSError, ValueError):
            pid, born = (int(word) for word in path.read_text(encoding="ascii").split()[:2])
            if pid > 1 and reaper.born(pid) == born:
                found[pid] = born
    return found


def _stop(found: dict[int, int], numbers: Sequence[signal.Signals], grace_s: float) -> None:
    families = [reaper.family(pid) for pid in found]
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            for number in numbers:
                os.kill(pid, number)
    deadline = time.monotonic() + grace_s
    while any(reaper.born(pid) == born for pid, born in found.items()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for members in families:
        reaper.end_family(members)


def _remove_containers(runtime: Runtime) -> None:
    listed = runtime.run("ps", "--all", "--quiet", "--filter", f"label={CHECKOUT_LABEL}")
    if names := listed.stdout.split():
        runtime.run("rm", "--force", *names, timeout_s=120)


def _empty_storage(runtime: Runtime, home: Path) -> None:
    """Layers are mounted and, for an ordinary user, owned by sub-users: only podman can take them away."""
    runtime.run("rm", "--all", "--force", timeout_s=120)
    runtime.run("image", "rm", "--all", "--force", timeout_s=120)
    if os.geteuid() == 0:
        _unmount(home)
        return
    argv = runtime.command("unshare", "rm", "-rf", str(home / "root"), str(home / "run"), str(home / "tmp"))
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(argv, env=runtime.environment(), capture_output=True, timeout=120, check=False)
    end_pause(home)
    shutil.rmtree(home, ignore_errors=True)


def _unmount(home: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    places = [line.split()[1].replace("\\040", " ") for line in mounts.splitlines()]
    for place in sorted((place for place in places if Path(place).is_relative_to(home)), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", place], capture_output=True, timeout=30, check=False)


if __name__ == "__main__":
    sys.exit(main())

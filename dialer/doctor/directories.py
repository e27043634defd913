"""Spool, store and work directories: there, writable, with room; the spool better apart from the store."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

GIB = 1 << 30
LEAST_BYTES = {"spool": GIB // 2, "store": GIB, "work": GIB // 10}
COMFORT = 10  # times the least: below it is a warning


async def rights_and_room(settings: Settings) -> list[Finding]:
    """Each directory is there, can be written and has room; spool and store do not fill each other."""
    return await asyncio.to_thread(
        _look, {"spool": settings.spool_dir, "store": settings.store_dir, "work": settings.work_dir}
    )


def _look(directories: dict[str, Path]) -> list[Finding]:
    findings = [judge(name, path, LEAST_BYTES[name]) for name, path in directories.items()]
    spool, store = directories["spool"], directories["store"]
    if spool.is_dir() and store.is_dir() and spool.stat().st_dev == store.stat().st_dev:
        findings.append(
            warning(
                "spool and store",
                "both are on one file system",
                "Give the spool a file system of its own: a full store would also stop the recording of calls that are live.",
            )
        )
    elif spool.is_dir() and store.is_dir():
        findings.append(ok("spool and store", "on file systems of their own"))
    return findings


def judge(name: str, path: Path, least_bytes: int) -> Finding:
    """One directory."""
    subject = f"{name} directory"
    setting = f"WAIHU_{name.upper()}_DIR"
    if not path.is_dir():
        return fault(
            subject, f"{path} is not there", f"Make it, owned by the user Waihu runs as, or correct {setting}."
        )
    try:
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"waihu")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return fault(
            subject,
            f"{path} cannot be written: {error.strerror}",
            f"Give it to the user Waihu runs as (uid {os.getuid()}), or free space there.",
        )
    free = shutil.disk_usage(path).free
    seen = f"{path}: {free / GIB:.1f} GiB free"
    if free < least_bytes:
        return fault(subject, seen, f"Free space: below {least_bytes / GIB:.1f} GiB no new calls are placed.")
    if free < least_bytes * COMFORT:
        return warning(subject, seen, f"Free space soon: below {least_bytes / GIB:.1f} GiB no new calls are placed.")
    return ok(subject, seen)

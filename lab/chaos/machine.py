"""How slow the machine is just now: the same start of an interpreter that an engine needs, measured beside the engine's.

A promise in seconds can be judged on a machine that has the seconds to give. The processor time of such a start hardly depends on what else
runs; its time by the clock does. Their ratio says how much longer everything takes than it would take alone.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass

BUSY = 1.5
"""Up to this ratio the machine counts as free (an interpreter waits for its disk too) and a bound in seconds holds as it stands."""
_DEADLINE_S = 120.0
_START = "import dialer.main.programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One start of an interpreter that loads what `waihu serve` loads, and ends."""

    wall_s: float
    cpu_s: float

    @property
    def slowness(self) -> float:
        """How many times longer things take than alone; 1 on a free machine."""
        ratio = self.wall_s / max(self.cpu_s, 0.05)
        return ratio if ratio > BUSY else 1.0


def stretched(limit_s: float, reference: Reference | None) -> float:
    """A bound in seconds, on this machine at that moment."""
    return limit_s * (reference.slowness if reference is not None else 1.0)


async def measure() -> Reference:
    """Start one, wait for its end. A start that takes two minutes is ended; then the machine is as slow as that."""
    return await asyncio.to_thread(_measure)


def _measure() -> Reference:
    """Blocking."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _START], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = began + _DEADLINE_S
    while True:
        # Not Popen.wait: what the child has used is told only to who reaps it.
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Reference(wall_s=time.monotonic() - began, cpu_s=usage.ru_utime + usage.ru_stime)
        if time.monotonic() > deadline:
            process.kill()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            return Reference(wall_s=_DEADLINE_S, cpu_s=usage.ru_utime + usage.ru_stime)
        time.sleep(0.01)

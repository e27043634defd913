"""The clock of this machine and the database of time zones. Windows of projects and the times of evidence hang on both."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from zoneinfo import available_timezones

from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

_UNSYNCHRONISED = 5  # TIME_ERROR, adjtimex(2)
_TIMEX_BYTES = 256


def kernel_clock_state() -> int | None:
    """What adjtimex(2) says when it is only asked; None where it cannot be asked."""
    libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state: int = libc.adjtimex(buffer)
    except AttributeError:
        return None
    return None if state < 0 else state


async def synchronised(settings: Settings, *, state: int | None = -1) -> list[Finding]:
    """The kernel believes its clock follows a time source."""
    del settings
    seen = kernel_clock_state() if state == -1 else state
    if seen is None:
        return [
            warning(
                "clock",
                f"the kernel does not say whether its clock is synchronised ({os.uname().sysname})",
                "See to it yourself that this machine follows a time server.",
            )
        ]
    if seen == _UNSYNCHRONISED:
        return [
            warning(
                "clock",
                "the kernel's clock follows no time source",
                "Run chrony or systemd-timesyncd here (in a container or virtual machine: on its host).",
            )
        ]
    return [ok("clock", "synchronised with a time source")]


async def zones(settings: Settings) -> list[Finding]:
    """The database of time zones is there and knows the business's zone."""
    count = len(available_timezones())
    if settings.zone not in available_timezones():
        return [
            fault(
                "time zones",
                f"{settings.zone} is not among the {count} zones known here",
                "Install the tzdata package (pip install tzdata) or correct WAIHU_ZONE.",
            )
        ]
    return [ok("time zones", f"{count} zones; the business runs on {settings.zone}")]

"""Runs the checks, several at a time, each with a deadline; a check that breaks is a finding itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from dialer.doctor import (
    asterisk,
    cdr,
    certificates,
    clock,
    codecs,
    directories,
    faces,
    keeping,
    names,
    postgres,
    programs,
    redis,
    rules,
    trunks,
)
from dialer.doctor.finding import Check, Finding, fault
from dialer.settings import Settings

CHECK_DEADLINE_S = 12.0

CHECKS: dict[str, Check] = {
    "python": programs.python_version,
    "packages": programs.packages,
    "host name": names.own_host_name,
    "clock": clock.synchronised,
    "time zones": clock.zones,
    "postgresql": postgres.server,
    "schema": postgres.schema,
    "postgresql clock": postgres.clock_skew,
    "redis": redis.server,
    "directories": directories.rights_and_room,
    "codecs": codecs.encoder,
    "recording keys": keeping.master_keys,
    "archive keys": keeping.archive_key_file,
    "archive copies": keeping.archive_copies,
    "archive programs": keeping.archive_programs,
    "asterisk": asterisk.manager,
    "agi": asterisk.agi_route,
    "cdr": cdr.file,
    "trunks": trunks.reachable,
    "certificates": certificates.of_caller_numbers,
    "calling rules": rules.coming_to_an_end,
    "ports": faces.ports,
}


async def examine(settings: Settings, *, only: frozenset[str] = frozenset()) -> AsyncIterator[Finding]:
    """All findings, in the order of CHECKS. `only` names the checks to run; empty means all."""
    wanted = {name: check for name, check in CHECKS.items() if not only or name in only}
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_guarded(name, check, settings), name=f"doctor {name}") for name, check in wanted.items()
        ]
        for task in tasks:
            for finding in await task:
                yield finding


async def _guarded(name: str, check: Check, settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_DEADLINE_S):
            return await check(settings)
    except TimeoutError:
        return [
            fault(
                name,
                f"no answer within {CHECK_DEADLINE_S:.0f} s",
                "Something this check talks to hangs; look at the findings beside it and at its own log.",
            )
        ]
    except Exception as error:  # noqa: BLE001  # the rim: one broken check must not hide the others
        return [
            fault(
                name,
                f"the check itself failed: {type(error).__name__}: {error}",
                "This is a defect of the doctor; report it with this line.",
            )
        ]

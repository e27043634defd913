"""Certificates of caller numbers: renewed in time, or the number is not shown and a project may have nothing to call from."""

from __future__ import annotations

from campaigns.caller_numbers import certificates
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.doctor.postgres import Unreachable, connect
from dialer.settings import Settings

NOTICE_DAYS = 30
"""A carrier needs some weeks to renew one."""

_NAMED = 10
_SUBJECT = "certificates"


async def of_caller_numbers(settings: Settings) -> list[Finding]:
    """One finding for those that have run out, one for those that will."""
    try:
        async with connect(settings) as connection:
            now = await connection.fetchval("select now()")
            found = await certificates.ending(connection, now, within_days=NOTICE_DAYS, limit=1000)
    except Unreachable as error:
        return [fault(_SUBJECT, f"not examined: {error}", "See the finding for postgresql.")]
    over = [one.number for one in found if one.last_day is None]
    soon = [f"{one.number} ({one.last_day})" for one in found if one.last_day is not None]
    findings = []
    if over:
        findings.append(
            warning(
                _SUBJECT,
                f"not shown, for no certificate covers today: {_named(over)}",
                "Add the renewed certificate (POST /caller-numbers/{id}/certificates), or retire the number.",
            )
        )
    if soon:
        findings.append(
            warning(
                _SUBJECT,
                f"the last day of the certificate is near: {_named(soon)}",
                "Ask the owner for the next certificate and add it before that day.",
            )
        )
    return findings or [ok(_SUBJECT, f"none ends within {NOTICE_DAYS} days")]


def _named(numbers: list[str]) -> str:
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return ", ".join(numbers[:_NAMED]) + more

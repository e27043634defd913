"""Trunks: every enabled one of this node is known to Asterisk and answers its OPTIONS."""

from __future__ import annotations

import asyncpg

from dialer.asterisk.ami.connection import AmiConnection
from dialer.asterisk.ami.errors import AmiError
from dialer.doctor.asterisk import session, variable
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

_CONNECT_S = 5.0
_TRUNKS = "select name, endpoint from trunks where node = $1 and enabled order by name"


async def reachable(settings: Settings) -> list[Finding]:
    """One finding for each trunk."""
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=_CONNECT_S, command_timeout=_CONNECT_S)
        try:
            rows = await connection.fetch(_TRUNKS, settings.node)
        finally:
            await connection.close(timeout=_CONNECT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError):
        return [
            fault(
                "trunks",
                "not examined: the table of trunks cannot be read",
                "See the findings for postgresql and schema.",
            )
        ]
    if not rows:
        return [warning("trunks", f"node {settings.node} has no trunk", "Create one: waihu trunk create.")]
    try:
        async with session(settings) as ami:
            return [await _judge(ami, row["name"], row["endpoint"]) for row in rows]
    except AmiError:
        return [fault("trunks", "not examined: Asterisk is not reached", "See the finding for asterisk.")]


async def _judge(ami: AmiConnection, name: str, endpoint: str) -> Finding:
    subject = f"trunk {name}"
    if not await variable(ami, f"PJSIP_ENDPOINT({endpoint},aors)"):
        return fault(
            subject,
            f"Asterisk knows no endpoint {endpoint}",
            "Add the trunk to the site file and run waihu asterisk configure, or correct the trunk's endpoint.",
        )
    contacts = (await variable(ami, f"PJSIP_AOR({endpoint},contact)") or "").split(",")
    states = {await variable(ami, f"PJSIP_CONTACT({contact},status)") for contact in contacts if contact}
    if "Reachable" in states:
        return ok(subject, f"{endpoint} answers OPTIONS")
    if states & {"NonQualified", "Unknown", "Created"}:
        return warning(
            subject,
            f"{endpoint}: nobody knows whether it lives ({', '.join(sorted(state for state in states if state))})",
            "Set qualify_s of the trunk, so that Asterisk asks it regularly.",
        )
    return fault(
        subject,
        f"{endpoint} does not answer OPTIONS",
        "Ask the carrier; check host, port, firewall and credentials of the trunk.",
    )

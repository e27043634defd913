"""Consent: who agreed to be called, for whom, about what, and what proves it. A record is ended, never changed otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from campaigns.errors import BadInput
from campaigns.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A record. `client` '': whoever we call for; `evidence`: where the proof lies, in words (a recording, a form, a log line)."""

    id: UUID
    number: str
    client: str
    scope: str
    evidence: str
    granted_at: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None


_COLUMNS = "id, number, client, scope, evidence, granted_at, expires_at, withdrawn_at"
_GRANT = f"""
with granted as (
    insert into consents (number, client, scope, evidence, granted_at, expires_at, user_id, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
    returning {_COLUMNS}
),
due_again as (          -- who waited for it need not wait any longer
    update leads l set next_at = least(l.next_at, $8::timestamptz)
    where l.number = $1 and l.state in ('new', 'retry') and l.callback_agent_id is null and l.last_attempt_at is null
)
select * from granted
"""  # noqa: S608 -- constants


async def grant(
    conn: Connection,
    number: str,
    *,
    scope: str,
    evidence: str,
    granted_at: datetime,
    now: datetime,
    client: str = "",
    expires_at: datetime | None = None,
    user_id: UUID | None = None,
) -> Consent:
    """Write a consent down. Errors: BadInput `consent_malformed`: number, scope, evidence or times cannot be used."""
    try:
        row = await conn.fetchrow(_GRANT, number, client, scope, evidence, granted_at, expires_at, user_id, now)
    except asyncpg.CheckViolationError as error:
        raise BadInput(
            "consent_malformed",
            "A consent names an E.164 number, a scope (a short word), its evidence, and ends after it began.",
        ) from error
    assert row is not None  # noqa: S101 -- an insert without a condition gives its row
    return Consent(**row)


_WITHDRAW = """
update consents set withdrawn_at = greatest($3, granted_at)
where number = $1 and ($2::text is null or scope = $2) and withdrawn_at is null and coalesce(expires_at, 'infinity') > $3
returning id
"""


async def withdraw(conn: Connection, number: str, *, now: datetime, scope: str | None = None) -> int:
    """End the consents of a number (of a scope, or all); how many were ended. It holds from the next claim on."""
    return len(await conn.fetch(_WITHDRAW, number, scope, now))


_OF = f"select {_COLUMNS} from consents where number = $1 order by granted_at, id"  # noqa: S608 -- constants


async def consents_of(conn: Connection, number: str) -> list[Consent]:
    """All records of a number, the ended ones too, oldest first."""
    return [Consent(**row) for row in await conn.fetch(_OF, number)]

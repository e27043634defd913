"""Who is asking: sessions and API tokens. Only hashes (SHA-256 of 256 random bits) are kept."""

# ruff: noqa: S105  # statements, not passwords

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A user behind a valid session or token."""

    user_id: UUID
    login: str
    display_name: str
    role: str
    agent_id: UUID | None
    csrf_hash: bytes | None = None
    token_id: UUID | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token, without its secret."""

    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


BY_SESSION = """
select u.id as user_id, u.login, u.display_name, u.role, a.id as agent_id, s.csrf_hash, s.seen_at
from sessions s
join users u on u.id = s.user_id
left join agents a on a.user_id = u.id
where s.token_hash = $1 and s.expires_at > $2 and s.seen_at > $3 and u.disabled_at is null
"""


async def by_session(conn: Connection, token_hash: bytes, *, now: datetime, seen_after: datetime) -> Known | None:
    """The user of a session that has neither expired nor been idle since `seen_after`."""
    row = await conn.fetchrow(BY_SESSION, token_hash, now, seen_after)
    return Known(**dict(row)) if row else None


BY_TOKEN = """
select u.id as user_id, u.login, u.display_name, u.role, a.id as agent_id, t.id as token_id, t.used_at as seen_at
from api_tokens t
join users u on u.id = t.user_id
left join agents a on a.user_id = u.id
where t.token_hash = $1 and t.revoked_at is null and (t.expires_at is null or t.expires_at > $2) and u.disabled_at is null
"""


async def by_token(conn: Connection, token_hash: bytes, *, now: datetime) -> Known | None:
    """The user of an API token that has neither expired nor been revoked."""
    row = await conn.fetchrow(BY_TOKEN, token_hash, now)
    return Known(**dict(row)) if row else None


CREATE_SESSION = """
insert into sessions (token_hash, user_id, csrf_hash, address, user_agent, created_at, seen_at, expires_at)
values ($1, $2, $3, $4::text::inet, $5, $6, $6, $7)
"""


async def create_session(
    conn: Connection, *, token_hash: bytes, user_id: UUID, csrf_hash: bytes, address: str | None, user_agent: str, now: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """Keep a new session."""
    await conn.execute(CREATE_SESSION, token_hash, user_id, csrf_hash, address, user_agent[:200], now, expires_at)


TOUCH_SESSION = "update sessions set seen_at = $2 where token_hash = $1 and seen_at < $2"
TOUCH_TOKEN = "update api_tokens set used_at = $2 where id = $1 and (used_at is null or used_at < $2)"


async def touch_session(conn: Connection, token_hash: bytes, now: datetime) -> None:
    """The session was used now."""
    await conn.execute(TOUCH_SESSION, token_hash, now)


async def touch_token(conn: Connection, token_id: UUID, now: datetime) -> None:
    """The token was used now."""
    await conn.execute(TOUCH_TOKEN, token_id, now)


END_SESSION = "delete from sessions where token_hash = $1"
END_SESSIONS_OF = "delete from sessions where user_id = $1 and token_hash is distinct from $2"
END_EXPIRED = "delete from sessions where expires_at <= $1 or seen_at <= $2"


async def end_session(conn: Connection, token_hash: bytes) -> None:
    """Log out."""
    await conn.execute(END_SESSION, token_hash)


async def end_sessions_of(conn: Connection, user_id: UUID, *, but: bytes | None = None) -> None:
    """Log a user out everywhere (but here)."""
    await conn.execute(END_SESSIONS_OF, user_id, but)


async def end_expired(conn: Connection, *, now: datetime, seen_after: datetime) -> None:
    """Forget sessions nobody can use any more."""
    await conn.execute(END_EXPIRED, now, seen_after)


CREATE_TOKEN = """
insert into api_tokens (user_id, name, token_hash, created_at, expires_at) values ($1, $2, $3, $4, $5)
returning id, user_id, name, created_at, used_at, expires_at, revoked_at
"""


async def create_token(
    conn: Connection, *, user_id: UUID, name: str, token_hash: bytes, now: datetime, expires_at: datetime | None
) -> Token:
    """Keep a new API token."""
    row = await conn.fetchrow(CREATE_TOKEN, user_id, name, token_hash, now, expires_at)
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return Token(**dict(row))


TOKENS_OF = """
select id, user_id, name, created_at, used_at, expires_at, revoked_at from api_tokens
where user_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
order by created_at desc, id desc limit $4
"""


async def tokens_of(conn: Connection, user_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Token]:
    """A user's tokens, newest first, revoked ones too."""
    at, last = after or (None, None)
    return [Token(**dict(row)) for row in await conn.fetch(TOKENS_OF, user_id, at, last, limit)]


REVOKE_TOKENS_OF = "update api_tokens set revoked_at = $2 where user_id = $1 and revoked_at is null"


async def revoke_tokens_of(conn: Connection, user_id: UUID, *, now: datetime) -> int:
    """Revoke all of a user's tokens; how many there were."""
    return int((await conn.execute(REVOKE_TOKENS_OF, user_id, now)).split()[-1])


REVOKE_TOKEN = """
update api_tokens set revoked_at = coalesce(revoked_at, $3) where id = $1 and ($2::uuid is null or user_id = $2)
returning id, user_id, name, created_at, used_at, expires_at, revoked_at
"""


async def revoke_token(conn: Connection, token_id: UUID, *, owner: UUID | None, now: datetime) -> Token | None:
    """Revoke a token (of this owner, when one is given). None: there is no such token."""
    row = await conn.fetchrow(REVOKE_TOKEN, token_id, owner, now)
    return Token(**dict(row)) if row else None

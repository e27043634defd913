"""Users: who may log in, with which role."""

# ruff: noqa: S105, S608  # statements, not passwords; what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection

_COLUMNS = "id, login, display_name, role, disabled_at, created_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, without the password."""

    id: UUID
    login: str
    display_name: str
    role: str
    disabled_at: datetime | None
    created_at: datetime


CREDENTIALS = "select id, password_hash from users where lower(login) = lower($1) and disabled_at is null"


async def credentials(conn: Connection, login: str) -> tuple[UUID, str] | None:
    """The id and the password's hash of a user who may log in."""
    row = await conn.fetchrow(CREDENTIALS, login)
    return (row["id"], row["password_hash"]) if row else None


PASSWORD_HASH = "select password_hash from users where id = $1"


async def password_hash(conn: Connection, user_id: UUID) -> str | None:
    """The hash of a user's password."""
    found: str | None = await conn.fetchval(PASSWORD_HASH, user_id)
    return found


AGENT_OF = "select id from agents where user_id = $1"


async def agent_of(conn: Connection, user_id: UUID) -> UUID | None:
    """The agent that a user is."""
    found: UUID | None = await conn.fetchval(AGENT_OF, user_id)
    return found


SET_PASSWORD = "update users set password_hash = $2 where id = $1"


async def set_password(conn: Connection, user_id: UUID, new_hash: str) -> None:
    """A new password."""
    await conn.execute(SET_PASSWORD, user_id, new_hash)


CREATE = f"insert into users (login, display_name, password_hash, role) values ($1, $2, $3, $4) returning {_COLUMNS}"


async def create(conn: Connection, *, login: str, display_name: str, password_hash: str, role: str) -> User:
    """A new user. Errors: UniqueViolationError (users_login) when the login name is taken, in whatever case."""
    row = await conn.fetchrow(CREATE, login, display_name, password_hash, role)
    assert row is not None  # noqa: S101  # an insert that returns nothing has raised
    return User(**dict(row))


ONE = f"select {_COLUMNS} from users where id = $1"


async def one(conn: Connection, user_id: UUID) -> User | None:
    """A user."""
    row = await conn.fetchrow(ONE, user_id)
    return User(**dict(row)) if row else None


PAGE = f"select {_COLUMNS} from users where ($1::text is null or lower(login) > $1) order by lower(login) limit $2"


async def page(conn: Connection, *, after: str | None, limit: int) -> list[User]:
    """Users by login name."""
    return [User(**dict(row)) for row in await conn.fetch(PAGE, after, limit)]


CHANGE = f"""
update users set display_name = coalesce($2, display_name), role = coalesce($3, role),
    disabled_at = case $4::boolean when true then coalesce(disabled_at, $5) when false then null else disabled_at end
where id = $1 returning {_COLUMNS}
"""


async def change(
    conn: Connection, user_id: UUID, *, display_name: str | None, role: str | None, disabled: bool | None, now: datetime
) -> User | None:
    """Change what is given. None: there is no such user."""
    row = await conn.fetchrow(CHANGE, user_id, display_name, role, disabled, now)
    return User(**dict(row)) if row else None


OTHER_ADMINS = "select count(*) from users where role = 'admin' and disabled_at is null and id <> $1"
LOCK_ADMINS = "select pg_advisory_xact_lock(hashtext('users.admins'))"


async def other_admins(conn: Connection, user_id: UUID) -> int:
    """How many administrators there are beside this one; two who remove each other at the same time wait here."""
    await conn.execute(LOCK_ADMINS)
    return int(await conn.fetchval(OTHER_ADMINS, user_id))

"""Making a user from the command line: the first administrator has nobody to ask."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter, ValidationError

from dialer.db import audit_trail, people
from dialer.domain.roles import Role
from dialer.web.errors import of_database, of_validation
from dialer.web.passwords import Passwords
from dialer.web.users.types import NewUser


async def create_user(
    pool: asyncpg.Pool[asyncpg.Record], *, login: str, display_name: str, role: Role, password: str, now: datetime
) -> UUID:
    """The new user's id. Errors: BadRequest `invalid_request`, Conflict `login_taken`."""
    try:
        wanted = TypeAdapter(NewUser).validate_python(
            {"login": login, "display_name": display_name, "role": role, "password": password}
        )
    except ValidationError as error:
        raise of_validation(error, "user") from None
    passwords = Passwords()
    try:
        password_hash = await passwords.hash(password)
    finally:
        passwords.close()
    try:
        async with pool.acquire() as conn, conn.transaction():
            user = await people.create(
                conn,
                login=wanted.login,
                display_name=wanted.display_name,
                password_hash=password_hash,
                role=wanted.role.value,
            )
            await audit_trail.write(conn, audit_trail.Entry(
                at=now, user_id=None, actor="command line", address=None, action="user_created", subject_type="user",
                subject_id=str(user.id), detail={"login": user.login, "role": user.role},
            ))  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise of_database(error) or error from error
    return user.id

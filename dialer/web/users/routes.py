"""Users and their roles: an administrator's business."""

from __future__ import annotations

from uuid import UUID

import structlog

from dialer.db import identities, people
from dialer.db.sql import Connection
from dialer.domain.commands import AgentLogout
from dialer.domain.errors import Conflict, NotFound, Unavailable
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import run
from dialer.web.fields import Page, PageQuery, after_cursor, page_of, plain_text
from dialer.web.passwords import generated_password
from dialer.web.roles import ADMINS
from dialer.web.users.types import CreatedUser, NewUser, PasswordReset, ResetPassword, User, UserChange

log = structlog.get_logger(__name__)


@operation("GET", "/users", roles=ADMINS, summary="List users")
async def list_users(call: Call, query: PageQuery) -> Page[User]:
    """By login name."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await people.page(conn, after=after[0] if after else None, limit=query.limit + 1)
    return page_of(rows, query.limit, User.model_validate, lambda user: [user.login.lower()])


@operation("POST", "/users", roles=ADMINS, summary="Create a user", status=201, session_only=True)
async def create_user(call: Call, body: NewUser) -> CreatedUser:
    """With a password that is given, or one that is made and shown once."""
    password = body.password or generated_password()
    password_hash = await call.parts.passwords.hash(password)
    async with call.transaction() as conn:
        user = await people.create(
            conn, login=body.login, display_name=body.display_name, password_hash=password_hash, role=body.role.value
        )
        await call.audit(conn, "user_created", "user", user.id, login=user.login, role=user.role)
    return CreatedUser(user=User.model_validate(user), password=None if body.password else password)


@operation("GET", "/users/{user_id}", roles=ADMINS, summary="A user")
async def get_user(call: Call, user_id: UUID) -> User:
    """One user."""
    async with call.connection() as conn:
        return User.model_validate(_there(await people.one(conn, user_id)))


@operation(
    "PATCH", "/users/{user_id}", roles=ADMINS, summary="Change a user's name or role, disable or enable them", session_only=True,
)  # fmt: skip
async def change_user(call: Call, user_id: UUID, body: UserChange) -> User:
    """A new role or a disabled user ends their sessions; who is disabled leaves the floor, after a conversation that goes on. The last administrator stays one."""
    async with call.transaction() as conn:
        loses = body.disabled is True or body.role not in {None, Role.ADMIN}
        if loses:
            await _refuse_to_lose_the_last_administrator(conn, user_id)
        user = _there(await people.change(
            conn, user_id, display_name=body.display_name, role=body.role.value if body.role else None, disabled=body.disabled, now=call.now,
        ))  # fmt: skip
        if body.disabled or body.role:
            await identities.end_sessions_of(conn, user_id)
        agent_id = (
            await people.agent_of(conn, user_id) if body.disabled or body.role not in {None, Role.AGENT} else None
        )
        await call.audit(conn, "user_changed", "user", user_id, **body.model_dump(mode="json", exclude_unset=True))
    call.parts.access.forget_user(user_id)
    if agent_id is not None:
        await _off_the_floor(call, agent_id)
    return User.model_validate(user)


@operation("POST", "/users/{user_id}/password", roles=ADMINS, summary="Give a user a new password", session_only=True)
async def reset_password(call: Call, user_id: UUID, body: PasswordReset) -> ResetPassword:
    """Ends their sessions, and revokes their tokens: whoever had the account has it no more."""
    password = body.password or generated_password()
    password_hash = await call.parts.passwords.hash(password)
    async with call.transaction() as conn:
        _there(await people.one(conn, user_id))
        await people.set_password(conn, user_id, password_hash)
        await identities.end_sessions_of(conn, user_id)
        tokens = await identities.revoke_tokens_of(conn, user_id, now=call.now)
        await call.audit(conn, "password_reset", "user", user_id, tokens_revoked=tokens)
    call.parts.access.forget_user(user_id)
    return ResetPassword(password=None if body.password else password)


async def _off_the_floor(call: Call, agent_id: UUID) -> None:
    """No customer is promised to them any more. An engine that is away finds no session of theirs to work with."""
    try:
        await run(call, AgentLogout(agent_id=agent_id))
    except Unavailable as error:
        log.warning("the engine was not told that a user may not work", agent_id=str(agent_id), error_id=error.error_id)


async def _refuse_to_lose_the_last_administrator(conn: Connection, user_id: UUID) -> None:
    user = _there(await people.one(conn, user_id))
    if user.role == Role.ADMIN and await people.other_admins(conn, user_id) == 0:
        raise Conflict("last_administrator", "This is the last administrator: make another one first.")


def _there(user: people.User | None) -> people.User:
    if user is None:
        raise NotFound("user_unknown", "There is no such user.")
    return user

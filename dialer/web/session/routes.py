"""Logging in and out."""

from __future__ import annotations

from datetime import timedelta

from dialer.db import identities, people
from dialer.domain.errors import NotAllowed
from dialer.domain.roles import Role
from dialer.web.access import csrf_cookie, hash_of, new_secret, session_cookie
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.errors import unauthenticated
from dialer.web.roles import EVERYBODY
from dialer.web.session.types import LoggedIn, Login, Me, NewPassword


@operation("POST", "/session", roles=None, summary="Log in", status=201)
async def log_in(call: Call, body: Login) -> LoggedIn:
    """Sets the session cookie, always a new one. Limited per login name and address; unknown users take as long as known ones."""
    attempt = await call.parts.logins.count(body.login, call.address, call.now)
    async with call.connection() as conn:
        found = await people.credentials(conn, body.login)
    right = await call.parts.passwords.verify(found[1] if found else None, body.password)
    if found is None or not right:
        async with call.transaction() as conn:
            await call.audit(conn, "login_refused", "user", found[0] if found else "unknown")
        raise unauthenticated("login_wrong", "The login name or the password is not right.")
    await call.parts.logins.forgive(attempt, call.now)
    user_id, kept = found
    better = await call.parts.passwords.hash(body.password) if call.parts.passwords.outdated(kept) else None
    settings = call.deps.settings
    secret, csrf = new_secret(), new_secret()
    expires_at = call.now + timedelta(seconds=settings.session_max_s)
    old = call.request.cookies.get(session_cookie(settings))
    async with call.transaction() as conn:
        if old:
            await identities.end_session(conn, hash_of(old))
        if better:
            await people.set_password(conn, user_id, better)
        await identities.create_session(
            conn, token_hash=hash_of(secret), user_id=user_id, csrf_hash=hash_of(csrf), address=call.address,
            user_agent=call.request.headers.get("User-Agent", "").encode(errors="replace").decode().replace("\x00", ""), now=call.now, expires_at=expires_at,
        )  # fmt: skip
        known = await identities.by_session(
            conn, hash_of(secret), now=call.now, seen_after=call.now - timedelta(seconds=1)
        )
        await call.audit(conn, "login", "user", user_id)
    if known is None:  # disabled between the two looks
        raise unauthenticated("login_wrong", "The login name or the password is not right.")
    if old:
        call.parts.access.forget(hash_of(old))
    me = Me(
        user_id=known.user_id,
        login=known.login,
        display_name=known.display_name,
        role=Role(known.role),
        agent_id=known.agent_id,
    )
    call.cookies[session_cookie(settings)] = secret
    call.cookies[csrf_cookie(settings)] = csrf
    return LoggedIn(me=me, csrf_token=csrf, expires_at=expires_at)


@operation("GET", "/session", roles=EVERYBODY, summary="Who am I")
async def who_am_i(call: Call) -> Me:
    """The user behind this session or token."""
    return Me.model_validate(call.identity)


@operation("DELETE", "/session", roles=EVERYBODY, summary="Log out", session_only=True)
async def log_out(call: Call) -> None:
    """Ends this session; its cookie is worth nothing any more."""
    session_hash = call.identity.session_hash or b""
    async with call.transaction() as conn:
        await identities.end_session(conn, session_hash)
        await call.audit(conn, "logout", "user", call.identity.user_id)
    call.parts.access.forget(session_hash)
    call.cookies[session_cookie(call.deps.settings)] = None
    call.cookies[csrf_cookie(call.deps.settings)] = None


@operation("POST", "/session/password", roles=EVERYBODY, summary="Change one's own password", session_only=True)
async def change_password(call: Call, body: NewPassword) -> None:
    """Ends one's other sessions."""
    me = call.identity
    attempt = await call.parts.logins.count(me.login, call.address, call.now)
    async with call.connection() as conn:
        kept = await people.password_hash(conn, me.user_id)
    if not await call.parts.passwords.verify(kept, body.present):
        raise NotAllowed("password_wrong", "The present password is not right.")
    await call.parts.logins.forgive(attempt, call.now)
    new_hash = await call.parts.passwords.hash(body.new)
    async with call.transaction() as conn:
        await people.set_password(conn, me.user_id, new_hash)
        await identities.end_sessions_of(conn, me.user_id, but=me.session_hash)
        await call.audit(conn, "password_changed", "user", me.user_id)
    call.parts.access.forget_user(me.user_id)

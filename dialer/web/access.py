"""Who is asking: a session cookie or a bearer token, checked for every request.

While the database is away, an identity that was checked a short while ago goes on being believed, and only for operations that say
so (`survives`): an agent in a conversation must be able to hold and hang up. Nobody new gets in.

An operation whose own statement asks whether the session or token still holds (`rechecks`: listening, range after range) begins with what was found a
short while ago, and asks anew where that statement says no.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web

from dialer.db import identities
from dialer.db.identities import Known
from dialer.db.sql import Connection
from dialer.domain.errors import NotAllowed, Unavailable
from dialer.domain.roles import Role
from dialer.web.deps import WebDeps, WebSettings
from dialer.web.errors import DATABASE_AWAY, unauthenticated
from dialer.web.identity import Identity

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"
TOKEN_PREFIX = "wht_"  # noqa: S105  # what tokens begin with, so that scanners find leaked ones
TOUCH_EVERY_S = 60
BELIEVED_S = 15 * 60
REMEMBERED_S = 60
BELIEVED_KEPT = 10_000
DATABASE_WAIT_S = 2.0


def new_secret() -> str:
    """256 random bits, as text that fits a cookie or a header."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is kept of a secret. A plain SHA-256 will do: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def session_cookie(settings: WebSettings) -> str:
    """The session cookie's name; behind https the prefix makes browsers refuse it from anywhere else."""
    return "__Host-waihu_session" if settings.secure_cookies else "waihu_session"


def csrf_cookie(settings: WebSettings) -> str:
    """The cookie our own pages read the CSRF token from."""
    return "__Host-waihu_csrf" if settings.secure_cookies else "waihu_csrf"


def set_cookies(response: web.Response, cookies: Mapping[str, str | None], settings: WebSettings) -> None:
    """Write cookies. Scripts of our own pages may read the CSRF token, nothing may read the session's secret; neither leaves our site."""
    for name, value in cookies.items():
        secret = name != csrf_cookie(settings)
        if value is None:
            response.del_cookie(name, path="/", secure=settings.secure_cookies, httponly=secret, samesite="Strict")
        else:
            response.set_cookie(
                name,
                value,
                path="/",
                max_age=int(settings.session_max_s),
                secure=settings.secure_cookies,
                httponly=secret,
                samesite="Strict",
            )


class Access:
    """Finds out who is asking."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._believed: OrderedDict[bytes, tuple[Identity, datetime]] = OrderedDict()

    async def identify(
        self, request: web.Request, now: datetime, *, survives: bool, touch: bool = True, rechecked: bool = False
    ) -> Identity | None:
        """Who asks; None for nobody. `touch`: it counts as use. `rechecked`: it is asked again, so what was found within a minute will do.

        Errors: 401 for a token or cookie that is not valid (any more), 503 when it cannot be checked.
        """
        header = request.headers.get("Authorization")
        if header is not None:
            scheme, _, secret = header.partition(" ")
            if scheme.lower() != "bearer" or not secret.startswith(TOKEN_PREFIX) or len(secret) > 200:
                raise unauthenticated("token_invalid", "This API token is not valid: create a new one.")
            secret_hash = hash_of(secret)
            identity = self._remembered(secret_hash, now, by_token=True) if rechecked else None
            identity = identity or await self._check(secret_hash, now, by_token=True, survives=survives, touch=touch)
            if identity is None:
                raise unauthenticated("token_invalid", "This API token is not valid (any more): create a new one.")
            return identity
        cookie = request.cookies.get(session_cookie(self._deps.settings))
        if not cookie or len(cookie) > 200:
            return None
        secret_hash = hash_of(cookie)
        identity = self._remembered(secret_hash, now, by_token=False) if rechecked else None
        identity = identity or await self._check(secret_hash, now, by_token=False, survives=survives, touch=touch)
        if identity is None:
            raise unauthenticated("session_expired", "The session has ended: log in again.")
        return identity

    def forget(self, *hashes: bytes) -> None:
        """A session or token has ended: do not go on believing it."""
        for one in hashes:
            self._believed.pop(one, None)

    def forget_user(self, user_id: object) -> None:
        """All of a user's sessions and tokens have ended or changed."""
        for key in [key for key, (identity, _) in self._believed.items() if identity.user_id == user_id]:
            del self._believed[key]

    def _remembered(self, secret_hash: bytes, now: datetime, *, by_token: bool) -> Identity | None:
        """Who was found behind it within a minute."""
        believed = self._believed.get(secret_hash)
        if believed is None or not timedelta(0) <= now - believed[1] <= timedelta(seconds=REMEMBERED_S):
            return None
        return believed[0] if by_token == (believed[0].token_id is not None) else None

    async def _check(
        self, secret_hash: bytes, now: datetime, *, by_token: bool, survives: bool, touch: bool
    ) -> Identity | None:
        try:
            async with asyncio.timeout(DATABASE_WAIT_S), self._deps.pool.acquire() as conn:
                known = await (self._by_token if by_token else self._by_session)(conn, secret_hash, now, touch=touch)
        except DATABASE_AWAY as error:
            believed = self._believed.get(secret_hash)
            if survives and believed and now - believed[1] <= timedelta(seconds=BELIEVED_S):
                return believed[0]
            raise Unavailable("database_away", "The database cannot be reached: try again in a moment.") from error
        if known is None:
            self.forget(secret_hash)
            return None
        identity = _identity(known, None if by_token else secret_hash)
        self._believed[secret_hash] = (identity, now)
        self._believed.move_to_end(secret_hash)
        if len(self._believed) > BELIEVED_KEPT:
            self._believed.popitem(last=False)
        return identity

    async def _by_session(self, conn: Connection, secret_hash: bytes, now: datetime, *, touch: bool) -> Known | None:
        known = await identities.by_session(conn, secret_hash, now=now, seen_after=idle_since(self._deps.settings, now))
        if touch and known and known.seen_at and now - known.seen_at > timedelta(seconds=TOUCH_EVERY_S):
            await identities.touch_session(conn, secret_hash, now)
        return known

    async def _by_token(self, conn: Connection, secret_hash: bytes, now: datetime, *, touch: bool) -> Known | None:
        known = await identities.by_token(conn, secret_hash, now=now)
        if (
            touch
            and known
            and known.token_id
            and (known.seen_at is None or now - known.seen_at > timedelta(seconds=TOUCH_EVERY_S))
        ):
            await identities.touch_token(conn, known.token_id, now)
        return known


def _identity(known: Known, session_hash: bytes | None) -> Identity:
    return Identity(
        user_id=known.user_id, login=known.login, display_name=known.display_name, role=Role(known.role), agent_id=known.agent_id,
        session_hash=session_hash, csrf_hash=known.csrf_hash, token_id=known.token_id,
    )  # fmt: skip


def idle_since(settings: WebSettings, now: datetime) -> datetime:
    """A session that was not used after this has ended."""
    return now - timedelta(seconds=settings.session_idle_s)


def check_role(identity: Identity, roles: Collection[Role]) -> None:
    """Refuse whose role does not include this. Errors: NotAllowed `role_not_allowed`."""
    if identity.role not in roles:
        raise NotAllowed(
            "role_not_allowed", "Your role does not include this: ask an administrator.", role=identity.role.value
        )


def check_same_site(request: web.Request, identity: Identity | None, settings: WebSettings) -> None:
    """Refuse what another site's page sends with our user's cookie. Errors: NotAllowed `origin_refused`, `csrf_token_wrong`."""
    if request.method in SAFE_METHODS or (identity is not None and identity.token_id is not None):
        return
    check_origin(request, settings, required=False)
    if identity is None:
        return
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(hash_of(sent), identity.csrf_hash or b""):
        raise NotAllowed(
            "csrf_token_wrong", f"Send the CSRF token of this session in {CSRF_HEADER}.", header=CSRF_HEADER
        )


def check_origin(request: web.Request, settings: WebSettings, *, required: bool) -> None:
    """Refuse another site's pages. Errors: NotAllowed `origin_refused`."""
    origin = request.headers.get("Origin")
    if origin is None:
        if required or request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise NotAllowed("origin_refused", "This request does not come from a page of ours.")
        return
    if origin in settings.allowed_origins:
        return
    if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower() or origin == "null":
        raise NotAllowed("origin_refused", "This request does not come from a page of ours.")


def address_of(request: web.Request, settings: WebSettings) -> str | None:
    """The address of who asks: the peer, or what a proxy we trust says of it (its last word that is no proxy of ours)."""
    address = request.remote
    if address in settings.trusted_proxies:
        for hop in reversed(
            [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        ):
            address = hop
            if hop not in settings.trusted_proxies:
                break
    return _plain_address(address)


@functools.lru_cache(maxsize=4096)
def _plain_address(text: str | None) -> str | None:
    try:
        return str(
            ipaddress.ip_address((text or "").partition("%")[0])
        )  # without the interface of this machine, which no database knows
    except ValueError:
        return None

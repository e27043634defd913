"""API tokens: one's own, and an administrator's view of others'. A token may what its user's role may."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from dialer.db import identities
from dialer.domain.errors import NotFound
from dialer.web.access import TOKEN_PREFIX, hash_of, new_secret
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Page, PageQuery, after_cursor, moment, page_of
from dialer.web.roles import ADMINS, EVERYBODY
from dialer.web.tokens.types import CreatedToken, NewToken, Token


@operation("GET", "/tokens", roles=EVERYBODY, summary="One's own API tokens")
async def list_tokens(call: Call, query: PageQuery) -> Page[Token]:
    """Newest first, revoked ones too."""
    return await _page(call, call.identity.user_id, query)


@operation("POST", "/tokens", roles=EVERYBODY, summary="Create an API token", status=201, session_only=True)
async def create_token(call: Call, body: NewToken) -> CreatedToken:
    """The secret is shown once."""
    secret = TOKEN_PREFIX + new_secret()
    expires_at = call.now + timedelta(days=body.expires_in_days) if body.expires_in_days else None
    async with call.transaction() as conn:
        token = await identities.create_token(
            conn,
            user_id=call.identity.user_id,
            name=body.name,
            token_hash=hash_of(secret),
            now=call.now,
            expires_at=expires_at,
        )
        await call.audit(conn, "token_created", "token", token.id, name=token.name, expires_at=expires_at)
    return CreatedToken(token=Token.model_validate(token), secret=secret)


@operation("DELETE", "/tokens/{token_id}", roles=EVERYBODY, summary="Revoke one of one's own API tokens")
async def revoke_token(call: Call, token_id: UUID) -> Token:
    """It is worth nothing from now on."""
    return await _revoke(call, token_id, call.identity.user_id)


@operation("GET", "/users/{user_id}/tokens", roles=ADMINS, summary="A user's API tokens")
async def list_tokens_of_user(call: Call, user_id: UUID, query: PageQuery) -> Page[Token]:
    """Newest first, revoked ones too."""
    return await _page(call, user_id, query)


@operation("DELETE", "/users/{user_id}/tokens/{token_id}", roles=ADMINS, summary="Revoke a user's API token")
async def revoke_token_of_user(call: Call, user_id: UUID, token_id: UUID) -> Token:
    """It is worth nothing from now on."""
    return await _revoke(call, token_id, user_id)


async def _page(call: Call, user_id: UUID, query: PageQuery) -> Page[Token]:
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        rows = await identities.tokens_of(conn, user_id, after=after, limit=query.limit + 1)  # type: ignore[arg-type]
    return page_of(rows, query.limit, Token.model_validate, lambda token: [token.created_at, token.id])


async def _revoke(call: Call, token_id: UUID, owner: UUID) -> Token:
    async with call.transaction() as conn:
        token = await identities.revoke_token(conn, token_id, owner=owner, now=call.now)
        if token is None:
            raise NotFound("token_unknown", "There is no such token.")
        await call.audit(conn, "token_revoked", "token", token_id, name=token.name)
    call.parts.access.forget_user(owner)
    return Token.model_validate(token)

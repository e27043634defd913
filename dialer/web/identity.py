"""Who asks, and how the books name them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from dialer.domain.roles import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks: a user, by a session or by an API token."""

    user_id: UUID
    login: str
    display_name: str
    role: Role
    agent_id: UUID | None
    session_hash: bytes | None = None
    csrf_hash: bytes | None = None
    token_id: UUID | None = None


def actor_of(caller: Identity | None) -> str:
    """How the audit log names who did it."""
    if caller is None:
        return "nobody"
    return f"{caller.login} (token)" if caller.token_id else caller.login

"""API tokens as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Name, Out


class NewToken(In):
    """A token to be."""

    name: Name
    expires_in_days: int | None = Field(default=90, ge=1, le=3660, description="null: it does not expire.")


class Token(Out):
    """A token, without its secret."""

    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedToken(Out):
    """A token that has just been made."""

    token: Token
    secret: str = Field(description="Send it as `Authorization: Bearer ...`. Shown this once; only its hash is kept.")

"""What logging in takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.domain.roles import Role
from dialer.web.fields import In, Name, Out


class Login(In):
    """Who wants to log in."""

    login: Name
    password: Annotated[str, Field(min_length=1, max_length=200)]


class NewPassword(In):
    """A password to replace the present one."""

    present: Annotated[str, Field(min_length=1, max_length=200)]
    new: Annotated[str, Field(min_length=10, max_length=200)]


class Me(Out):
    """The person (or program) that asks."""

    user_id: UUID
    login: str
    display_name: str
    role: Role
    agent_id: UUID | None = Field(description="Their place on the floor, when they are an agent.")


class LoggedIn(Out):
    """A new session; its secret is in the cookie."""

    me: Me
    csrf_token: str = Field(description="Send it in X-CSRF-Token with everything that changes something.")
    expires_at: datetime

"""Users as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from dialer.domain.roles import Role
from dialer.web.fields import In, Name, Out

LoginName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{2,64}$"), Field(description="Letters, digits and . _ @ -")
]
Password = Annotated[str, Field(min_length=10, max_length=200)]


class NewUser(In):
    """A user to be."""

    login: LoginName
    display_name: Name
    role: Role
    password: Password | None = Field(default=None, description="Left out: one is made and shown once.")


class UserChange(In):
    """What is to change; what is left out stays."""

    display_name: Name | None = None
    role: Role | None = None
    disabled: bool | None = None


class PasswordReset(In):
    """A new password for somebody else."""

    password: Password | None = Field(default=None, description="Left out: one is made and shown once.")


class User(Out):
    """A user."""

    id: UUID
    login: str
    display_name: str
    role: Role
    disabled_at: datetime | None
    created_at: datetime


class CreatedUser(Out):
    """A user who has just been made."""

    user: User
    password: str | None = Field(description="The password that was made; shown this once. Null when it was given.")


class ResetPassword(Out):
    """A password that was set."""

    password: str | None = Field(description="The password that was made; shown this once. Null when it was given.")

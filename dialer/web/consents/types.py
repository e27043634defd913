"""Consents as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Line, Moment, Note, Number, Out

Scope = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$", description="What was agreed to, as the rules name it.")
]


class NewConsent(In):
    """Who agreed to be called, for whom, about what, and what proves it."""

    number: Number
    scope: Scope
    evidence: Annotated[
        Note, Field(min_length=1, max_length=2000, description="Where the proof lies: a recording, a form.")
    ]
    granted_at: Moment
    client: Line = Field(default="", description="Left out: whoever we call for.")
    expires_at: Moment | None = None


class Withdrawal(In):
    """Whose consent ends; of one scope, or of all."""

    number: Number
    scope: Scope | None = None
    reason: Annotated[Line, Field(min_length=1)]


class OneNumber(In):
    """A number. In the body, so that it is in no log."""

    number: Number


class Consent(Out):
    """A record. The number is masked for everybody."""

    id: UUID
    number: str
    client: str
    scope: str
    evidence: str
    granted_at: datetime
    expires_at: datetime | None
    withdrawn_at: datetime | None


class Consents(Out):
    """All records of a number, the ended ones too."""

    consents: list[Consent]


class Ended(Out):
    """How many consents were ended."""

    ended: int

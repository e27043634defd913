"""Consents as the API shows and takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from dialer.web.fields import In, Line, Moment, Name, Note, Number, Out

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


class LoadQuery(In):
    """What is true of a file of consents, beyond what its rows say."""

    file_name: Name
    scope: Scope | None = Field(default=None, description="For rows that name none.")
    client: Line = Field(default="", description="For rows that name none; left out: whoever we call for.")
    zone: Annotated[Line, Field(max_length=100)] | None = Field(
        default=None, description="Time zone of times that name none, such as Asia/Shanghai."
    )
    encoding: Annotated[Line, Field(max_length=20)] | None = Field(
        default=None, description="Of a CSV file, when it was asked for: utf-8, gb18030, big5 ..."
    )
    sheet: Annotated[Line, Field(max_length=200)] | None = Field(
        default=None, description="Name of the sheet, when a workbook has several."
    )


class RejectedRow(Out):
    """A row that was not taken: where, and why."""

    line: int
    column: str = Field(description="Empty: the whole row.")
    error_id: str
    reason: str


class Loaded(Out):
    """What came of a file."""

    id: UUID
    accepted: int
    known: int = Field(description="Were there already, and were not written twice.")
    rejected: int
    rejects: list[RejectedRow] = Field(description="The first thousand.")


class UndoLoad(In):
    """Why a file is taken back."""

    reason: Annotated[Line, Field(min_length=1)]


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

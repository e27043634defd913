"""Caller numbers as the API shows and takes them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from dialer.web.fields import E164, In, Line, Out, PageQuery

State = Literal["active", "resting", "retired"]


class CallerNumberQuery(PageQuery):
    """Which caller numbers."""

    trunk_id: UUID | None = None
    state: State | None = None


class NewCallerNumber(In):
    """A caller number to be."""

    number: E164
    trunk_id: UUID


class CallerNumberChange(In):
    """Rest, retire or use again, and why."""

    state: State
    why: Line


class CallerNumber(Out):
    """A number that may be shown. Ours, so never masked."""

    id: UUID
    number: str
    trunk_id: UUID
    state: State
    why: str | None

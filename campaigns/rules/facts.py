"""What is known about one number at one moment: all that the rules ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

NEVER: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A call to the number, of whichever project. `answered_at`: a person or machine took it; `abandoned_at`: no agent was there in time."""

    at: datetime
    project_id: UUID
    client: str
    answered_at: datetime | None = None
    abandoned_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A number that might be dialled for a project, now.

    `zone`: the callee's, None when it is not known. `consents`: scopes that hold at this moment for this client. `lists`: category → when that list
    was last loaded. `abandoned` and `answered`: of the project in the period that its strictest limit names.
    """

    now: datetime
    project_id: UUID
    client: str
    project_zone: str
    mode: str
    number: str
    zone: str | None = None
    region: str | None = None
    attempts: int = 0
    past: tuple[PastCall, ...] = ()
    consents: frozenset[str] = frozenset()
    lists: Mapping[str, datetime] = field(default_factory=lambda: NEVER)
    ring_s: int = 30
    abandoned: int = 0
    answered: int = 0

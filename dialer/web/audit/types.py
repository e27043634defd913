"""The audit log as the API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from dialer.web.fields import Line, Out, PageQuery


class AuditQuery(PageQuery):
    """Which entries."""

    subject_type: Line | None = None
    subject_id: Line | None = None
    user_id: UUID | None = None
    action: Line | None = None


class Entry(Out):
    """Who did what to what."""

    id: int
    at: datetime
    user_id: UUID | None
    actor: str
    address: str | None
    action: str
    subject_type: str
    subject_id: str
    detail: dict[str, Any]

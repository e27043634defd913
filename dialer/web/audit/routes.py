"""The audit log: read only, here and in the database."""

from __future__ import annotations

from dialer.db import audit_trail
from dialer.web.api import operation
from dialer.web.audit.types import AuditQuery, Entry
from dialer.web.call import Call
from dialer.web.fields import Page, after_cursor, big_id, page_of
from dialer.web.roles import AUDITORS


@operation("GET", "/audit", roles=AUDITORS, summary="Read the audit log")
async def list_entries(call: Call, query: AuditQuery) -> Page[Entry]:
    """Newest first."""
    before = after_cursor(query.cursor, big_id)
    async with call.connection() as conn:
        rows = await audit_trail.page(
            conn, before=before[0] if before else None, subject_type=query.subject_type, subject_id=query.subject_id,
            user_id=query.user_id, action=query.action, limit=query.limit + 1,
        )  # fmt: skip
    return page_of(rows, query.limit, Entry.model_validate, lambda row: [row.id])

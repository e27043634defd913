"""Sums over calls. Counts are whole numbers, time is in whole milliseconds."""

from __future__ import annotations

from uuid import UUID

from campaigns import preview
from dialer.db import history
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.masking import without_numbers
from dialer.web.projects.routes import there
from dialer.web.reports.types import Outcome, Previewed, Previews, Span, Summary
from dialer.web.roles import REPORT_READERS


@operation("GET", "/projects/{project_id}/summary", roles=REPORT_READERS, summary="A project's figures")
async def get_summary(call: Call, project_id: UUID, query: Span) -> Summary:
    """Attempts, outcomes, talk and results in a span of time."""
    async with call.connection() as conn:
        await there(conn, project_id)
        rows = await history.summary(conn, project_id, since=query.since, until=query.until)
        dispositions = await history.disposition_counts(conn, project_id, since=query.since, until=query.until)
    return Summary(
        project_id=project_id, since=query.since, until=query.until, attempts=sum(row.attempts for row in rows),
        answered=sum(row.answered for row in rows), bridged=sum(row.bridged for row in rows), abandoned=sum(row.abandoned for row in rows),
        talk_ms=sum(row.talk_ms for row in rows),
        outcomes=[Outcome(outcome=row.outcome, attempts=row.attempts, talk_ms=row.talk_ms) for row in rows], dispositions=dispositions,
    )  # fmt: skip


@operation("GET", "/projects/{project_id}/previews", roles=REPORT_READERS, summary="What became of leads in preview")
async def get_previews(call: Call, project_id: UUID, query: Span) -> Previews:
    """Agent by agent: dialled, skipped and why, not decided in time."""
    async with call.connection() as conn:
        project = await there(conn, project_id)
        found = await preview.previewed(conn, project_id, query.since, query.until)
    shown = Previews(agents=[Previewed.model_validate(one) for one in found])
    return Previews.model_validate(without_numbers(shown.model_dump())) if project.mask_numbers else shown

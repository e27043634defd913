"""Bulk exports: one person asks and says why, another agrees, and for a day either can fetch it. Nothing leaves before its audit rows are committed."""

from __future__ import annotations

import asyncio
import base64
from datetime import date, datetime
from uuid import UUID

import structlog
from aiohttp import web
from pydantic import Field

from dialer.db import audit_trail, recording_exports, recording_marks
from dialer.db.recording_exports import Export
from dialer.domain.errors import BadRequest, Conflict, NotAllowed, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.errors import DATABASE_AWAY
from dialer.web.fields import Day, In, Line, Out, Page, PageQuery, after_cursor, moment, page_of
from dialer.web.recordings import bundling, handover
from dialer.web.recordings.bundling import GrowingZip
from dialer.web.roles import EXPORTERS
from recorder.archive.handover import check_recipient
from recorder.bundle import DEFAULT_PATTERN, check_pattern
from recorder.errors import RecorderError

log = structlog.get_logger(__name__)
SLOWEST_WRITE_S = 60
# A client that is gone or slow is among the latter.
_CUT_OFF: tuple[type[Exception], ...] = (RecorderError, *DATABASE_AWAY)
_BLOCK = 1 << 20


class NewExport(In):
    """What, and why."""

    project_id: UUID
    first_day: Day = Field(description="In the project's zone.")
    last_day: Day
    dispositions: list[Line] = Field(
        default_factory=list, max_length=50, description="Only calls with these results; none: all."
    )
    pattern: Line = Field(default=DEFAULT_PATTERN, description="Names of the files: a path of fields in braces.")
    recipient: Line | None = Field(
        default=None,
        description="The client's public key (age1...): the export is a volume that only the client opens.",
    )
    reason: Line = Field(min_length=1, description="Who asked for it, and what for.")


class RecordingExport(Out):
    """An export and who stands for it."""

    id: UUID
    project_id: UUID
    first_day: date
    last_day: date
    dispositions: list[str]
    pattern: str
    recipient: str | None
    reason: str
    requested_by: UUID
    requested_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None


@operation(
    "POST",
    "/recording-exports",
    roles=EXPORTERS,
    summary="Ask for a bulk export of recordings",
    status=201,
    session_only=True,
)
async def request_export(call: Call, body: NewExport) -> RecordingExport:
    """Another person has to agree before anything can be fetched."""
    check_pattern(body.pattern)
    if body.last_day < body.first_day:
        raise BadRequest("days_reversed", "last_day is before first_day: exchange them.", where="body")
    if body.recipient is not None:
        check_recipient(body.recipient)
    async with call.transaction() as conn:
        export = await recording_exports.request(
            conn, project_id=body.project_id, first_day=body.first_day, last_day=body.last_day, dispositions=body.dispositions,
            pattern=body.pattern, reason=body.reason, by=call.identity.user_id, at=call.now,
            recipient=body.recipient,
        )  # fmt: skip
        await call.audit(
            conn,
            "recording_export_requested",
            "recording_export",
            export.id,
            project_id=body.project_id,
            reason=body.reason,
            recipient=body.recipient,
        )
    return RecordingExport.model_validate(export)


@operation("GET", "/recording-exports", roles=EXPORTERS, summary="List bulk exports")
async def list_exports(call: Call, query: PageQuery) -> Page[RecordingExport]:
    """Newest first."""
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        rows = await recording_exports.page(conn, after=after, limit=query.limit + 1)  # type: ignore[arg-type]
    return page_of(rows, query.limit, RecordingExport.model_validate, lambda row: [row.requested_at, row.id])


@operation(
    "POST",
    "/recording-exports/{export_id}/approve",
    roles=EXPORTERS,
    summary="Agree to a bulk export",
    session_only=True,
)
async def approve_export(call: Call, export_id: UUID) -> RecordingExport:
    """By somebody else than who has asked for it."""
    async with call.transaction() as conn:
        there = _there(await recording_exports.one(conn, export_id))
        if there.requested_by == call.identity.user_id:
            raise NotAllowed(
                "export_needs_another_person", "You have asked for this export yourself: somebody else has to agree."
            )
        export = await recording_exports.approve(conn, export_id, by=call.identity.user_id, at=call.now)
        if export is None:
            raise Conflict("export_approved_already", "Somebody has agreed to this export already.")
        await call.audit(
            conn, "recording_export_approved", "recording_export", export_id, project_id=export.project_id, recipient=export.recipient
        )  # fmt: skip
    return RecordingExport.model_validate(export)


@operation(
    "GET", "/recording-exports/{export_id}/zip", roles=EXPORTERS, summary="Fetch a bulk export", media="application/zip", timeout_s=0, session_only=True,
)  # fmt: skip
async def fetch_export(call: Call, export_id: UUID) -> web.StreamResponse:
    """By one of the two, within a day of the agreement. Every recording in it is an audit row, and says in its tags and by a mark in its sound who fetched it."""
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.transaction() as conn:
        export = _there(await recording_exports.one(conn, export_id))
        _may_fetch(call, export)
        if export.recipient is not None:
            raise Conflict("export_is_handover", "This export is for a client's key: fetch it as a volume.")
        made = await bundling.gather(
            conn, project_id=export.project_id, first_day=export.first_day, last_day=export.last_day, dispositions=export.dispositions,
            pattern=export.pattern,
        )  # fmt: skip
        mark = await recording_marks.make(
            conn, at=call.now, user_id=call.identity.user_id, actor=call.identity.login, export_id=export_id, project_id=export.project_id,
            reason=export.reason,
        )  # fmt: skip
        await audit_trail.write_all(conn, [
            call.entry("recording_exported", "recording", row.id, export=export_id, call_id=row.attempt_id, project_id=row.project_id, why=export.reason)
            for _, _, row in made.files
        ])  # fmt: skip
        await call.audit(
            conn,
            "recording_export_fetched",
            "recording_export",
            export_id,
            project_id=export.project_id,
            recordings=len(made.files),
        )
    name = f"recordings-{export.first_day}-{export.last_day}.zip"
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    archive = GrowingZip()
    tags = {"comment": f"Exported for {call.identity.login} on {call.now:%Y-%m-%d %H:%M} UTC, export {export_id}"}
    whole = False
    try:
        async for path, content in bundling.contents(call.deps, made, tags=tags, mark=mark, clock=call.deps.clock):
            async with asyncio.timeout(SLOWEST_WRITE_S):
                await response.write(archive.add(path, content))
        await response.write(archive.end())
        whole = True
    except _CUT_OFF as error:
        log.warning(
            "an export was cut off", export_id=str(export_id), error=getattr(error, "error_id", type(error).__name__)
        )
    finally:
        # A zip without its end does not open: nobody takes a part for the whole.
        if not whole and call.request.transport is not None:
            call.request.transport.abort()
    return response


@operation(
    "GET", "/recording-exports/{export_id}/volume", roles=EXPORTERS, summary="Fetch a bulk export for the client's key", media="application/x-iso9660-image",
    timeout_s=0, session_only=True,
)  # fmt: skip
async def fetch_volume(call: Call, export_id: UUID) -> web.StreamResponse:
    """An image that only the client's key opens. By one of the two, within a day of the agreement. It is made first, then audited, then sent."""
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.connection() as conn:
        export = _there(await recording_exports.one(conn, export_id))
        _may_fetch(call, export)
        parcel = await handover.gather(conn, export)
    async with handover.image_of(call.deps, parcel) as image:
        async with asyncio.timeout(call.deps.settings.request_timeout_s), call.transaction() as conn:
            await audit_trail.write_all(conn, [
                call.entry(
                    "recording_handed_over", "recording", row.id, export=export_id, call_id=row.attempt_id, project_id=row.project_id, why=export.reason,
                    recipient=export.recipient,
                )
                for _, _, row in parcel.made.files
            ])  # fmt: skip
            await call.audit(
                conn, "recording_export_fetched", "recording_export", export_id, project_id=export.project_id, recordings=len(parcel.made.files),
                recipient=export.recipient, image_sha256=image.sha256.hex(),
            )  # fmt: skip
        headers = {
            "Content-Type": "application/x-iso9660-image",
            "Content-Length": str(image.bytes),
            "Content-Disposition": f'attachment; filename="{parcel.label}.iso"',
            "Repr-Digest": f"sha-256=:{base64.b64encode(image.sha256).decode()}:",
            "Cache-Control": "private, no-store",
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(call.request)
        with image.path.open("rb") as file:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                async with asyncio.timeout(SLOWEST_WRITE_S):
                    await response.write(block)
    return response


def _may_fetch(call: Call, export: Export) -> None:
    handover.may_be_fetched(export, call.now)
    if call.identity.user_id not in {export.requested_by, export.approved_by}:
        raise NotAllowed("export_of_others", "Only who has asked for this export, or has agreed to it, can fetch it.")


def _there(export: Export | None) -> Export:
    if export is None:
        raise NotFound("export_unknown", "There is no such export.")
    return export

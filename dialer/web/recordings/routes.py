"""Recordings: finding them and listening to them. Nobody hears a byte before the audit row of it is committed."""

from __future__ import annotations

import asyncio
from typing import Literal
from uuid import UUID

import structlog
from aiohttp import web

from campaigns.sql import OneConnection
from dialer.db import history
from dialer.db.history import RecordingRow
from dialer.domain.errors import Conflict, NotFound
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Page, after_cursor, moment, page_of
from dialer.web.masking import shown
from dialer.web.recordings.types import Recording, RecordingQuery, Talk, Waveform
from dialer.web.roles import LISTENERS
from recorder import ledger, streaming
from recorder.errors import RecorderError
from recorder.file_keys import WrappedKey, destroyed
from recorder.paths import locate
from recorder.sealing import Seal
from recorder.streaming import StreamPlan

log = structlog.get_logger(__name__)
SLOWEST_WRITE_S = 60  # a listener who takes nothing for so long is gone
LONGEST_RANGE_HEADER = 1000  # beyond it the header is ignored, as RFC 9110 allows
PARTIAL = {206: "The part that was asked for.", 304: "The client has it already.", 416: "The file has no such part."}


@operation("GET", "/recordings", roles=LISTENERS, summary="List recordings")
async def list_recordings(call: Call, query: RecordingQuery) -> Page[Recording]:
    """Newest first."""
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        rows = await history.recordings(
            conn, after=after, project_id=query.project_id, agent_id=query.agent_id, state=query.state, since=query.since,  # type: ignore[arg-type]
            until=query.until, limit=query.limit + 1,
        )  # fmt: skip
    return page_of(rows, query.limit, _shown, lambda row: [row.created_at, row.id])


@operation("GET", "/recordings/{recording_id}", roles=LISTENERS, summary="What is known of a recording")
async def get_recording(call: Call, recording_id: UUID) -> Recording:
    """Its facts, without its sound."""
    async with call.connection() as conn:
        return _shown(_there(await history.recording(conn, recording_id)))


@operation("GET", "/recordings/{recording_id}/waveform", roles=LISTENERS, summary="The picture of a recording")
async def get_waveform(call: Call, recording_id: UUID) -> Waveform:
    """Peaks of both sides, at most 1000 each, for a player to draw before any sound has come."""
    async with call.connection() as conn:
        wave = await ledger.waveform(conn, recording_id)
    if wave is None:
        raise NotFound(
            "waveform_unknown", "There is no picture of this recording: it has no sound, or is older than analysis."
        )
    return Waveform(each_ms=wave.each_ms, customer=list(wave.customer), agent=list(wave.agent))


@operation(
    "GET",
    "/recordings/{recording_id}/audio",
    roles=LISTENERS,
    summary="Listen to a recording",
    media="audio/ogg",
    also=PARTIAL,
    timeout_s=0,
)
async def get_audio(call: Call, recording_id: UUID) -> web.StreamResponse:
    """Takes Range (RFC 9110). Each request that gets sound is one audit row, with the bytes that were asked for."""
    return await _audio(call, recording_id, "GET")


@operation(
    "HEAD",
    "/recordings/{recording_id}/audio",
    roles=LISTENERS,
    summary="Length and hash of a recording",
    media="audio/ogg",
    also=PARTIAL,
)
async def head_audio(call: Call, recording_id: UUID) -> web.StreamResponse:
    """The headers of the whole file; nothing is heard, so nothing is audited."""
    return await _audio(call, recording_id, "HEAD")


async def _audio(call: Call, recording_id: UUID, method: Literal["GET", "HEAD"]) -> web.StreamResponse:
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.connection() as conn:
        row = _there(await history.recording(conn, recording_id))
        seal = await _seal(call, conn, row) if method == "GET" else None
    if row.state != "stored" or row.path is None or row.sha256 is None or row.bytes is None:
        raise Conflict(
            "recording_not_stored",
            "There is no sound of this call (yet): its state says why.",
            state=row.state,
            reason=row.reason,
        )
    plan = _plan(call, row, row.content_bytes or row.bytes, row.content_sha256 or row.sha256, method)
    path = locate(call.deps.store_dir, row.path)
    response = web.StreamResponse(status=plan.status, headers={**plan.headers, "Cache-Control": "private, no-store"})
    if method == "HEAD" or not plan.parts:
        await response.prepare(call.request)
        return response
    async with streaming.opened(path, row.bytes, seal) as file:
        async with asyncio.timeout(call.deps.settings.request_timeout_s), call.transaction() as conn:
            await call.audit(
                conn, "recording_listened", "recording", recording_id, call_id=row.attempt_id, project_id=row.project_id,
                bytes=[[span.start, span.stop] for span in plan.spans], of=row.content_bytes or row.bytes,
            )  # fmt: skip
        await response.prepare(call.request)
        try:
            async for chunk in file.chunks(plan.parts):
                async with asyncio.timeout(SLOWEST_WRITE_S):
                    await response.write(chunk)
        except (RecorderError, TimeoutError, ConnectionError) as error:
            # The head is out: all that is left is to break off, so that nobody takes the part for the whole.
            log.warning("a listener was cut off", recording_id=str(recording_id), error=type(error).__name__)
            if call.request.transport is not None:
                call.request.transport.abort()
    return response


async def _seal(call: Call, conn: OneConnection, row: RecordingRow) -> Seal | None:
    """What opens the file; None where it is not sealed. Errors: KeysRefused."""
    if row.project_key_id is None:
        return None
    if row.wrapped_key is None:
        raise destroyed()
    key = WrappedKey(project_key_id=row.project_key_id, wrapped=row.wrapped_key)
    return await call.deps.file_keys.seal(conn, row.attempt_id, key)


def _plan(call: Call, row: RecordingRow, size: int, sha256: bytes, method: Literal["GET", "HEAD"]) -> StreamPlan:
    headers = call.request.headers
    wanted = headers.get("Range")
    return streaming.plan_response(
        method=method, range_header=wanted if wanted and len(wanted) <= LONGEST_RANGE_HEADER else None, if_range=headers.get("If-Range"),
        size=size, sha256=sha256, modified=row.ended_at or row.created_at, if_none_match=headers.get("If-None-Match"),
    )  # fmt: skip


def _shown(row: RecordingRow) -> Recording:
    values = {
        name: getattr(row, name)
        for name in Recording.model_fields
        if name not in {"call_id", "sha256", "number", "talk"}
    }
    return Recording(
        **values,
        call_id=row.attempt_id,
        sha256=row.sha256.hex() if row.sha256 else None,
        number=shown(row.number, masked=row.mask_numbers),
        talk=None if row.customer_ms is None else Talk.model_validate(row),
    )


def _there(row: RecordingRow | None) -> RecordingRow:
    if row is None:
        raise NotFound("recording_unknown", "There is no such recording.")
    return row

"""Listening to recordings. Nobody hears a byte before the audit row of it is committed: who, what of it, why, from where."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import structlog
from aiohttp import web

from campaigns.sql import OneConnection
from dialer.db import history, people
from dialer.db.history import RecordingRow, SoundRow
from dialer.domain.errors import Conflict, NotAllowed, NotFound
from dialer.domain.roles import Role
from dialer.web.api import PREFIX, operation
from dialer.web.call import Call
from dialer.web.identity import Identity
from dialer.web.recordings import links
from dialer.web.recordings.types import Clip, Listen, NewLink, RecordingLink
from dialer.web.roles import LISTENERS
from recorder import ranges
from recorder.clip import clip
from recorder.errors import RecorderError
from recorder.file_keys import ProjectKey, destroyed
from recorder.mp3 import MEDIA_TYPE as MP3_TYPE
from recorder.mp3 import mp3
from recorder.paths import MEDIA_TYPE, locate
from recorder.ranges import Span, StreamPlan
from recorder.sealing import Seal
from recorder.streaming import CHUNK_BYTES

log = structlog.get_logger(__name__)
SLOWEST_WRITE_S = 60  # a listener who takes nothing for so long is gone
LONGEST_RANGE_HEADER = 1000  # beyond it the header is ignored, as RFC 9110 allows
PARTIAL = {206: "The part that was asked for.", 304: "The client has it already.", 416: "The file has no such part."}
AUDIO = "audio/ogg"
CUT_WITHIN_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sound:
    """A recording that can be heard: its file, what opens it, and the length and hash of what is heard."""

    row: SoundRow
    path: Path
    seal: Seal | None
    file_bytes: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noted:
    """What the audit row says beside who, when, from where and which bytes."""

    action: Literal["recording_listened", "recording_clipped"] = "recording_listened"
    detail: Mapping[str, Any]


@operation(
    "GET", "/recordings/{recording_id}/audio", roles=LISTENERS, summary="Listen to a recording", media=AUDIO, also=PARTIAL, timeout_s=0,
)  # fmt: skip
async def get_audio(call: Call, recording_id: UUID, query: Listen) -> web.StreamResponse:
    """Takes Range (RFC 9110). Each request that gets sound is one audit row, with the bytes that were asked for, and why."""
    return await _audio(call, recording_id, query, "GET")


@operation(
    "HEAD", "/recordings/{recording_id}/audio", roles=LISTENERS, summary="Length and hash of a recording", media=AUDIO, also=PARTIAL, timeout_s=0,
)  # fmt: skip
async def head_audio(call: Call, recording_id: UUID, query: Listen) -> web.StreamResponse:
    """The headers of the whole file; nothing is heard, so nothing is audited."""
    return await _audio(call, recording_id, query, "HEAD")


@operation(
    "POST",
    "/recordings/{recording_id}/links",
    roles=LISTENERS,
    summary="Make a short-lived link to a recording",
    status=201,
)
async def make_link(call: Call, recording_id: UUID, body: NewLink) -> RecordingLink:
    """Whoever has the link hears the recording until it is over, in the name of who made it."""
    ring = await call.deps.file_keys.ring()
    until = call.now + timedelta(seconds=body.valid_s)
    link = links.Link(
        recording_id=recording_id, user_id=call.identity.user_id, until=until, media=body.media, why=body.why
    )
    async with call.transaction() as conn:
        row = _there(await history.recording(conn, recording_id))
        await call.audit(
            conn,
            "recording_link_made",
            "recording",
            recording_id,
            call_id=row.attempt_id,
            project_id=row.project_id,
            until=until,
            why=body.why,
        )
    return RecordingLink(
        path=f"{PREFIX}/recordings/by-link/{links.signed(link, ring.derive(links.PURPOSE))}", until=until
    )


@operation(
    "GET", "/recordings/by-link/{token}", roles=None, summary="Listen by a link", media=AUDIO, also=PARTIAL, timeout_s=0
)
async def get_by_link(call: Call, token: str) -> web.StreamResponse:
    """Takes Range, like listening with a session; audited in the name of who made the link. Who may not listen any more has no valid link."""
    if len(token) > links.LONGEST_TOKEN:
        raise NotAllowed("link_invalid", "This link is not valid: ask for a new one.")
    ring = await call.deps.file_keys.ring()
    link = links.opened(token, ring.derive(links.PURPOSE), now=call.now)
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.connection() as conn:
        user = await people.one(conn, link.user_id)
    if user is None or user.disabled_at is not None or Role(user.role) not in LISTENERS:
        raise NotAllowed("link_invalid", "Whoever made this link may not listen any more: ask somebody who may.")
    caller = Identity(
        user_id=user.id, login=user.login, display_name=user.display_name, role=Role(user.role), agent_id=None
    )
    return await _audio(
        replace(call, caller=caller), link.recording_id, Listen(media=link.media, why=link.why), "GET", by_link=True
    )


@operation(
    "GET", "/recordings/{recording_id}/clip", roles=LISTENERS, summary="Cut a clip out of a recording", media=(AUDIO, "audio/wav"), also=PARTIAL, timeout_s=0,
)  # fmt: skip
async def get_clip(call: Call, recording_id: UUID, query: Clip) -> web.StreamResponse:
    """A file of its own: both sides or one, up to ten minutes. Says in its tags who cut it and when, and in the audit log what and why. Takes Range."""
    async with asyncio.timeout(CUT_WITHIN_S):
        async with call.connection() as conn:
            sound = await _sound(call, conn, recording_id)
        content = await _clipped(call, sound, query)
    media_type = "audio/wav" if query.media == "wav" else MEDIA_TYPE
    plan = _plan(call, sound.row, len(content), hashlib.sha256(content).digest(), "GET", media_type)
    name = f"{sound.row.attempt_id.hex}-{query.start_ms}-{query.end_ms}.{query.media}"
    plan.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    detail = {"ms": [query.start_ms, query.end_ms], "leg": query.leg, "why": query.why}
    noted = _Noted(action="recording_clipped", detail=detail)
    return await _answer(call, sound, plan, _in_memory(content, plan), "GET", noted)


async def _clipped(call: Call, sound: _Sound, query: Clip) -> bytes:
    """The clip, cut once for this listener however many ranges of it they ask for."""
    tags = {
        "comment": f"Cut by {call.identity.login} on {call.now:%Y-%m-%d %H:%M:%S} UTC out of recording {sound.row.id}",
        "title": f"{query.start_ms} to {query.end_ms} ms",
    }

    def cut() -> Awaitable[bytes]:
        return clip(
            sound.path, start_ms=query.start_ms, end_ms=query.end_ms, leg=query.leg, media=query.media, seal=sound.seal, tags=tags,
        )  # fmt: skip

    key = (sound.sha256, query.start_ms, query.end_ms, query.leg, query.media, call.identity.user_id)
    return await call.parts.clips.of(key, cut)


async def _audio(
    call: Call, recording_id: UUID, listen: Listen, method: Literal["GET", "HEAD"], *, by_link: bool = False
) -> web.StreamResponse:
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.connection() as conn:
        sound = await _sound(call, conn, recording_id)
    noted = _Noted(detail={"why": listen.why} | ({"by_link": True} if by_link else {}))
    if listen.media == "mp3":
        duration_ms = sound.row.duration_ms or 0
        made = await call.parts.mp3s.of(sound.sha256, lambda: mp3(sound.path, sound.seal, duration_ms=duration_ms))
        plan = _plan(call, sound.row, len(made), hashlib.sha256(made).digest(), method, MP3_TYPE)
        return await _answer(call, sound, plan, _in_memory(made, plan), method, noted)
    plan = _plan(call, sound.row, sound.size, sound.sha256, method, MEDIA_TYPE)
    if method == "HEAD" or not plan.parts:
        return await _answer(call, sound, plan, None, method, noted)
    prefix = call.deps.settings.accel_prefix
    if prefix and sound.seal is None:  # what is sealed must pass through us
        await _note(call, sound, plan, noted)
        accel = f"{prefix.rstrip('/')}/{quote(sound.row.path or '')}"
        return web.Response(
            headers={"X-Accel-Redirect": accel, "Content-Type": MEDIA_TYPE, "Cache-Control": "private, no-store"}
        )
    async with call.parts.open_files.of(sound.path, sound.file_bytes, sound.seal) as file:
        return await _answer(call, sound, plan, file.chunks(plan.parts), method, noted)


async def _answer(
    call: Call,
    sound: _Sound,
    plan: StreamPlan,
    body: AsyncIterator[bytes] | None,
    method: str,
    noted: _Noted,
) -> web.StreamResponse:
    response = web.StreamResponse(status=plan.status, headers={**plan.headers, "Cache-Control": "private, no-store"})
    if method == "HEAD" or not plan.parts or body is None:
        await response.prepare(call.request)
        return response
    await _note(call, sound, plan, noted)
    await response.prepare(call.request)
    try:
        async for chunk in body:
            async with asyncio.timeout(SLOWEST_WRITE_S):
                await response.write(chunk)
    except (RecorderError, TimeoutError, ConnectionError) as error:
        # The head is out: all that is left is to break off, so that nobody takes the part for the whole.
        log.warning("a listener was cut off", recording_id=str(sound.row.id), error=type(error).__name__)
        if call.request.transport is not None:
            call.request.transport.abort()
    return response


async def _note(call: Call, sound: _Sound, plan: StreamPlan, noted: _Noted) -> None:
    """The audit row, committed: one statement, hence a transaction of its own."""
    row = sound.row
    async with asyncio.timeout(call.deps.settings.request_timeout_s), call.connection() as conn:
        await call.audit(
            conn, noted.action, "recording", row.id, call_id=row.attempt_id, project_id=row.project_id,
            bytes=[[span.start, span.stop] for span in plan.spans], of=plan.size, **noted.detail,
        )  # fmt: skip


async def _in_memory(content: bytes, plan: StreamPlan) -> AsyncIterator[bytes]:
    for part in plan.parts:
        if isinstance(part, Span):
            for at in range(part.start, part.stop, CHUNK_BYTES):
                yield content[at : min(at + CHUNK_BYTES, part.stop)]
        else:
            yield part


async def _sound(call: Call, conn: OneConnection, recording_id: UUID) -> _Sound:
    """What can be heard of a recording. Errors: NotFound, Conflict `recording_not_stored`, KeysRefused."""
    row = await history.sound(conn, recording_id)
    if row is None:
        raise _unknown()
    if row.state != "stored" or row.path is None or row.sha256 is None or row.bytes is None:
        raise Conflict(
            "recording_not_stored",
            "There is no sound of this call (yet): its state says why.",
            state=row.state,
            reason=row.reason,
        )
    seal = None
    if row.key_id is not None and row.key_master is not None:
        if row.wrapped_key is None:
            raise destroyed()
        project_key = ProjectKey(id=row.key_id, master=row.key_master, wrapped=row.key_wrapped)
        seal = await call.deps.file_keys.opened(row.attempt_id, row.wrapped_key, project_key)
    return _Sound(
        row=row, path=locate(call.deps.store_dir, row.path), seal=seal, file_bytes=row.bytes,
        size=row.content_bytes or row.bytes, sha256=row.content_sha256 or row.sha256,
    )  # fmt: skip


def _plan(
    call: Call, row: SoundRow, size: int, sha256: bytes, method: Literal["GET", "HEAD"], media_type: str
) -> StreamPlan:
    headers = call.request.headers
    wanted = headers.get("Range")
    return ranges.plan_response(
        method=method, range_header=wanted if wanted and len(wanted) <= LONGEST_RANGE_HEADER else None, if_range=headers.get("If-Range"),
        size=size, sha256=sha256, modified=row.ended_at or row.created_at, if_none_match=headers.get("If-None-Match"), media_type=media_type,
    )  # fmt: skip


def _there(row: RecordingRow | None) -> RecordingRow:
    if row is None:
        raise _unknown()
    return row


def _unknown() -> NotFound:
    return NotFound("recording_unknown", "There is no such recording.")

"""Listening to recordings. Nobody hears a byte before the audit row of it is committed: who, what of it, why, from where."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from dialer.db import history
from dialer.db.history import RecordingRow
from dialer.domain.errors import Conflict, NotAllowed
from dialer.web.access import check_role
from dialer.web.api import PREFIX, operation
from dialer.web.call import Call
from dialer.web.recordings import links, sending
from dialer.web.recordings.links import Link
from dialer.web.recordings.sending import Method, NotAsRemembered, Noted
from dialer.web.recordings.sounds import Sound, unknown
from dialer.web.recordings.types import Clip, Listen, NewLink, RecordingLink
from dialer.web.roles import LISTENERS
from recorder.clip import clip
from recorder.made_sound import Made
from recorder.mp3 import MEDIA_TYPE as MP3_TYPE
from recorder.mp3 import mp3
from recorder.paths import MEDIA_TYPE

PARTIAL = {206: "The part that was asked for.", 304: "The client has it already.", 416: "The file has no such part."}
AUDIO = "audio/ogg"
CUT_WITHIN_S = 120


@operation(
    "GET", "/recordings/{recording_id}/audio", roles=LISTENERS, summary="Listen to a recording", media=AUDIO, also=PARTIAL, timeout_s=0, rechecks=True,
)  # fmt: skip
async def get_audio(call: Call, recording_id: UUID, query: Listen) -> web.StreamResponse:
    """Takes Range (RFC 9110). Each request that gets sound is one audit row, with the bytes that were asked for, and why."""
    return await _audio(call, recording_id, query, "GET")


@operation(
    "HEAD", "/recordings/{recording_id}/audio", roles=LISTENERS, summary="Length and hash of a recording", media=AUDIO, also=PARTIAL, timeout_s=0, rechecks=True,
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
    listen = Listen(media=link.media, why=link.why)
    return await _audio(call, link.recording_id, listen, "GET", link=link)


@operation(
    "GET", "/recordings/{recording_id}/clip", roles=LISTENERS, summary="Cut a clip out of a recording", media=(AUDIO, "audio/wav"), also=PARTIAL, timeout_s=0,
)  # fmt: skip
async def get_clip(call: Call, recording_id: UUID, query: Clip) -> web.StreamResponse:
    """A file of its own: both sides or one, up to ten minutes. Says in its tags who cut it and when, and in the audit log what and why. Takes Range."""
    async with asyncio.timeout(CUT_WITHIN_S):
        sound = await call.parts.sounds.of(recording_id, fresh=True)
        made = await _clipped(call, sound, query)
    media_type = "audio/wav" if query.media == "wav" else MEDIA_TYPE
    plan = sending.plan(call, sound.row, len(made.content), made.sha256, "GET", media_type)
    name = f"{sound.row.attempt_id.hex}-{query.start_ms}-{query.end_ms}.{query.media}"
    plan.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    detail = {"ms": [query.start_ms, query.end_ms], "leg": query.leg, "why": query.why}
    noted = Noted(action="recording_clipped", detail=detail)
    try:
        return await sending.answer(call, sound, plan, sending.in_memory(made.content, plan), noted)
    except NotAsRemembered:
        raise _changed() from None


async def _clipped(call: Call, sound: Sound, query: Clip) -> Made:
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
    call: Call, recording_id: UUID, listen: Listen, method: Method, *, link: Link | None = None
) -> web.StreamResponse:
    """By what is remembered of the recording and the listener, and where that does not hold any more, once more by what is."""
    for fresh in (False, True):
        try:
            async with asyncio.timeout(call.deps.settings.request_timeout_s):
                if link is not None:
                    call = replace(call, caller=await call.parts.sounds.listener(link.user_id, fresh=fresh))
                elif fresh:
                    call = replace(
                        call, caller=await call.parts.access.identify(call.request, call.now, survives=False)
                    )
                    check_role(call.identity, LISTENERS)
                sound = await call.parts.sounds.of(recording_id, fresh=fresh)
            return await _sent(call, sound, listen, method, by_link=link is not None)
        except NotAsRemembered:
            continue
    raise _changed()


async def _sent(call: Call, sound: Sound, listen: Listen, method: Method, *, by_link: bool) -> web.StreamResponse:
    """Errors: NotAsRemembered."""
    noted = Noted(detail={"why": listen.why} | ({"by_link": True} if by_link else {}))
    if listen.media == "mp3":
        duration_ms = sound.row.duration_ms or 0
        made = await call.parts.mp3s.of(sound.sha256, lambda: mp3(sound.path, sound.seal, duration_ms=duration_ms))
        plan = sending.plan(call, sound.row, len(made.content), made.sha256, method, MP3_TYPE)
        return await sending.answer(call, sound, plan, sending.in_memory(made.content, plan), noted)
    plan = sending.plan(call, sound.row, sound.size, sound.sha256, method, MEDIA_TYPE)
    if not plan.parts:
        return await sending.answer(call, sound, plan, None, noted)
    prefix = call.deps.settings.accel_prefix
    if prefix and sound.seal is None:  # what is sealed must pass through us
        await sending.note(call, sound, plan, noted)
        accel = f"{prefix.rstrip('/')}/{quote(sound.row.path or '')}"
        return web.Response(
            headers={"X-Accel-Redirect": accel, "Content-Type": MEDIA_TYPE, "Cache-Control": "private, no-store"}
        )
    async with call.parts.open_files.of(sound.path, sound.file_bytes, sound.seal) as file:
        return await sending.answer(call, sound, plan, file.chunks(plan.parts), noted)


def _changed() -> Conflict:
    return Conflict("recording_changing", "This recording is being changed just now: ask again.")


def _there(row: RecordingRow | None) -> RecordingRow:
    if row is None:
        raise unknown()
    return row

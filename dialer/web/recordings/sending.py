"""Sending sound to a listener: what a request is answered with, its audit row before the first byte, and the bytes at the listener's pace."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from aiohttp import web

from dialer.db.hearing import Heard, Listener, SoundRow
from dialer.web.access import idle_since
from dialer.web.call import Call
from dialer.web.recordings.sounds import Sound
from dialer.web.roles import LISTENERS
from recorder import ranges
from recorder.errors import RecorderError
from recorder.ranges import Span, StreamPlan
from recorder.streaming import BLOCK_BYTES

log = structlog.get_logger(__name__)
IDLE_S = 300.0  # a listener who takes nothing for so long is gone, or has enough: a player comes back by itself for what is missing
LONGEST_RANGE_HEADER = 1000  # beyond it the header is ignored, as RFC 9110 allows
_ROLES = frozenset(role.value for role in LISTENERS)
Method = Literal["GET", "HEAD"]
Chunks = AsyncGenerator[bytes] | AsyncGenerator[bytes | memoryview]


class NotAsRemembered(Exception):
    """What was remembered of the recording or the listener does not hold any more: look again. Nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What the audit row says beside who, when, from where and which bytes."""

    action: Literal["recording_listened", "recording_clipped"] = "recording_listened"
    detail: Mapping[str, Any]


class _Sound(web.StreamResponse):
    """Its head goes out with the first sound: one packet less to make, to send and to wait for. (A hint to aiohttp; without it all is as it says.)"""

    _send_headers_immediately = False


def plan(call: Call, row: SoundRow, size: int, sha256: bytes, method: Method, media_type: str) -> StreamPlan:
    """What the request is answered with."""
    headers = call.request.headers
    wanted = headers.get("Range")
    return ranges.plan_response(
        method=method, range_header=wanted if wanted and len(wanted) <= LONGEST_RANGE_HEADER else None, if_range=headers.get("If-Range"),
        size=size, sha256=sha256, modified=row.ended_at or row.created_at, if_none_match=headers.get("If-None-Match"), media_type=media_type,
    )  # fmt: skip


async def answer(call: Call, sound: Sound, made: StreamPlan, body: Chunks | None, noted: Noted) -> web.StreamResponse:
    """Answer with sound, after its audit row, or with headers alone. Errors: NotAsRemembered, FileGone where not even the first of it can be read."""
    response = _Sound(status=made.status, headers={**made.headers, "Cache-Control": "private, no-store"})
    if not made.parts or body is None:
        if not sound.fresh:
            raise NotAsRemembered
        await response.prepare(call.request)
        return response
    await note(call, sound, made, noted)
    async with aclosing(body):
        first = await anext(body)  # what cannot even begin is said, not broken off
        await response.prepare(call.request)
        whole = False
        try:
            with _at_their_pace(call.request, IDLE_S) as pace:
                await pace.write(response, first)
                async for chunk in body:
                    await pace.write(response, chunk)
            whole = True
        except ConnectionError:
            pass  # gone, as everybody who jumps elsewhere is
        except RecorderError as error:
            log.warning("a listener was cut off", recording_id=str(sound.row.id), error=error.error_id)
        finally:
            # The head is out: all that is left is to break off, so that nobody takes the part for the whole.
            if not whole and call.request.transport is not None:
                call.request.transport.abort()
    return response


async def note(call: Call, sound: Sound, made: StreamPlan, noted: Noted) -> None:
    """The audit row, committed. Errors: NotAsRemembered."""
    row = sound.row
    entry = call.entry(
        noted.action, "recording", row.id, call_id=row.attempt_id, project_id=row.project_id,
        bytes=[[span.start, span.stop] for span in made.spans], of=made.size, **noted.detail,
    )  # fmt: skip
    who, settings = call.identity, call.deps.settings
    listener = Listener(
        login=who.login, roles=_ROLES, session_hash=who.session_hash, seen_after=idle_since(settings, call.now), token_id=who.token_id
    )  # fmt: skip
    heard = Heard(entry=entry, row=row, listener=listener)
    if not await call.parts.noting.note(heard):
        raise NotAsRemembered


async def in_memory(content: bytes, made: StreamPlan) -> AsyncGenerator[bytes]:
    """The body of a plan for what is in memory."""
    for part in made.parts:
        if isinstance(part, Span):
            for at in range(part.start, part.stop, BLOCK_BYTES):
                yield content[at : min(at + BLOCK_BYTES, part.stop)]
        else:
            yield part


class _Pace:
    """How much was written, and how much of it the listener had taken when it was last looked at."""

    def __init__(self, transport: asyncio.Transport, idle_s: float) -> None:
        self.written = 0
        self._transport = transport
        self._idle_s = idle_s
        self._taken = -1
        self.timer = asyncio.get_running_loop().call_later(idle_s, self.look)

    async def write(self, response: web.StreamResponse, chunk: bytes | memoryview) -> None:
        """Write it, as soon as there is room for it."""
        self.written += len(chunk)
        await response.write(chunk)

    def look(self) -> None:
        """Break off where there was something to take all the time and nothing was taken."""
        waiting = self._transport.get_write_buffer_size() + _in_kernel(self._transport)
        taken = self.written - waiting
        if waiting and taken == self._taken:
            self._transport.abort()
            return
        self._taken = taken if waiting else -1
        self.timer = asyncio.get_running_loop().call_later(self._idle_s, self.look)


def _in_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the system holds for the other side, which may be megabytes: whoever takes little of them takes something."""
    held = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, held)
    except (AttributeError, OSError):  # closed, or no socket of this kind
        return 0
    return int.from_bytes(held, sys.byteorder)


@contextmanager
def _at_their_pace(request: web.Request, idle_s: float) -> Iterator[_Pace]:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the listener is gone")
    pace = _Pace(transport, idle_s)
    try:
        yield pace
    finally:
        pace.timer.cancel()

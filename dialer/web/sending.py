"""Files that are made for one answer and gone after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from aiohttp import web

from dialer.web.call import Call

_PIECE: Final = 256 * 1024


async def send_made(call: Call, path: Path, *, media: str, file_name: str) -> web.StreamResponse:
    """Send a file to its end, so that it may be removed when this returns. (aiohttp would open a `FileResponse` once more after the handler.)"""
    headers = {
        "Content-Type": media,
        "Content-Disposition": f'attachment; filename="{file_name}"',
        "Cache-Control": "private, no-store",
    }
    response = web.StreamResponse(headers=headers)
    response.content_length = path.stat().st_size  # noqa: ASYNC240  # one system call
    await response.prepare(call.request)
    with path.open("rb") as file:  # read in a thread
        while piece := await asyncio.to_thread(file.read, _PIECE):
            await response.write(piece)
    await response.write_eof()
    return response

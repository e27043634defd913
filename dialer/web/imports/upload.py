"""A file on its way in: to disk, piece by piece, with a limit and a deadline."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from dialer.domain.errors import BadRequest, Unavailable
from dialer.web.api import too_large
from dialer.web.errors import HttpError

CHUNK = 256 * 1024
SILENCE_S = 30.0  # an uploader who sends nothing for so long is gone
FREE_BYTES = 512 * 1024 * 1024  # are left on the disk


async def receive(request: web.Request, directory: Path, limit: int) -> Path:
    """Write the body to a new file and return its path; the caller takes it away again.

    Errors: 413 `body_too_large`, 422 `upload_empty`, 408 `upload_stalled`, 503 `disk_full`.
    """
    expected = request.content_length
    if expected is not None and expected > limit:
        raise too_large(limit)
    await _room(directory, expected or 0)
    handle, name = await asyncio.to_thread(tempfile.mkstemp, ".list", "upload-", directory)
    path = Path(name)
    try:
        with open(handle, "wb", buffering=0) as file:  # noqa: ASYNC230, PTH123  # opened already; each write is in a thread
            size = await _copy(request, file, directory, limit)
        if size == 0:
            raise BadRequest("upload_empty", "The file is empty.")
    except BaseException:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  # one system call, also when cancelled
        raise
    return path


async def _copy(request: web.Request, file: BinaryIO, directory: Path, limit: int) -> int:
    size = checked = 0
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await request.content.read(CHUNK)
        except TimeoutError:
            raise HttpError(408, "upload_stalled", "Nothing came for too long: send the file again.") from None
        if not chunk:
            return size
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        if size - checked > 64 * 1024 * 1024:
            checked = size
            await _room(directory, 0)
        await asyncio.to_thread(_write_all, file, chunk)


def _write_all(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


async def _room(directory: Path, expected: int) -> None:
    free = (await asyncio.to_thread(shutil.disk_usage, directory)).free
    if free - expected < FREE_BYTES:
        raise Unavailable(
            "disk_full", "There is not enough room on the disk for this file: make room and send it again."
        )

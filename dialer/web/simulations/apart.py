"""Has a simulation played by a process of its own, and hears how it goes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from dialer.domain.errors import Unavailable
from dialer.web.simulations.job import Job

LIMIT_S = 1800.0
LINE_BYTES = 4 * 1024 * 1024


async def play_apart(job: Job, progress: Callable[[int], None]) -> dict[str, Any]:
    """Do it, and give its result; `progress` is called with the days that are played. Cancelled, the process is ended.

    Errors: Unavailable `simulation_interrupted` (the process was killed, failed, or took half an hour).
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialer.web.simulations.worker", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101  # both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(LIMIT_S):
            process.stdin.write(job.model_dump_json().encode())
            await process.stdin.drain()
            process.stdin.close()
            while line := await process.stdout.readline():
                said: dict[str, Any] = orjson.loads(line)
                if said["what"] == "result":
                    result: dict[str, Any] = said["result"]
                    return result
                progress(said["done"])
            raise _interrupted()
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        raise _interrupted() from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _interrupted() -> Unavailable:
    return Unavailable("simulation_interrupted", "The simulation was broken off: start it again, or a smaller one.")

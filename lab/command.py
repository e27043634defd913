"""The `waihu` command against a lab's installation, as an operator types it; its answer as JSON."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson

from lab.errors import LabError

_DEADLINE_S = 180


class CommandFailed(LabError):
    """It gave no answer."""

    error_id = "lab.command_failed"


async def waihu(config: Path, *words: str) -> Any:
    """What `waihu --json WORDS` says, with the settings of `config`. Raises CommandFailed, TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dialer", "--json", *words, env={**os.environ, "WAIHU_CONFIG": str(config)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_DEADLINE_S):
            answer, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if not answer:
        raise CommandFailed(f"waihu {' '.join(words)} ended with {process.returncode}: {said.decode()}")
    return orjson.loads(answer)

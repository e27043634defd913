"""A recorder in a process of its own that kills itself (SIGKILL) after a step: `python -m tests.recorder.killed_recorder URL ROOT STEP COUNT`.

With STEP `never` it runs until everything is settled, and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.service import Recorder
from tests.recorder.builders import ANSWERED, settings


def now() -> datetime:
    """As in the tests that start us."""
    return ANSWERED + timedelta(seconds=10)


def _printed(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - the parent waits for it


async def main(url: str, root: Path, step: str, count: int, say: Callable[[str], None] = _printed) -> None:
    """Run to the step, or to the end. Says `started`, and before the end at a step `encoders` with their process ids."""
    seen = 0

    def at_step(done: str, _: UUID) -> None:
        nonlocal seen
        seen += done == step
        if seen == count:
            say(" ".join(["encoders", *map(str, recorder.encoder_pids)]))
            os.kill(os.getpid(), signal.SIGKILL)

    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        keys = FileKeys(KeySource(path=root / "recording.keys"))
        of = settings(root, settle_s=0.1, legs_deadline_s=5.0)  # the calls of these tests ended eight seconds ago
        recorder = Recorder(pool, of, clock=now, keys=keys, on_step=at_step)
        await recorder.start()
        say("started")
        await recorder.settled(40)
        await recorder.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))

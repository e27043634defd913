"""A recorder in a process of its own that kills itself (SIGKILL) after a step: `python -m tests.recorder.killed_recorder URL ROOT STEP COUNT`.

With STEP `never` it runs until everything is settled, and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
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


async def main(url: str, root: Path, step: str, count: int) -> None:
    """Run to the step, or to the end."""
    seen = 0

    def at_step(done: str, _: UUID) -> None:
        nonlocal seen
        seen += done == step
        if seen == count:
            print("encoders", *recorder.encoder_pids, flush=True)  # noqa: T201 - the parent looks for them
            os.kill(os.getpid(), signal.SIGKILL)

    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        keys = FileKeys(KeySource(path=root / "recording.keys"))
        recorder = Recorder(pool, settings(root), clock=now, keys=keys, on_step=at_step)
        await recorder.start()
        print("started", flush=True)  # noqa: T201 - the parent waits for it
        await recorder.settled(40)
        await recorder.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))

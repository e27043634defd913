"""The rotation in a process of its own that kills itself (SIGKILL) after a step: `python -m tests.recorder.archive.killed_archive URL ROOT STEP`.

With STEP `never` it runs until the volume is sealed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg

from recorder.archive.states import CopyState
from tests.recorder.archive.house import House


async def main(url: str, root: Path, step: str) -> None:
    """Run to the step, or to the end."""

    def at_step(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        house = House(pool=pool, root=root)
        volumes = await house.ledger.volumes()
        volume = await house.builder(at_step).build(volumes[0] if volumes else await house.planned())
        copier = house.copier(at_step)
        for one in await house.ledger.copies(volume.id):
            copy, drive = one, house.drive(one.name)
            if copy.state is CopyState.WANTED:
                copy = await copier.burn(copy, drive)
            if copy.state is CopyState.WRITTEN:
                await copier.verify(copy, drive.path)
        await copier.seal(await house.ledger.volume(volume.label))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))

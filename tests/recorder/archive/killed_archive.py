"""The rotation in a process of its own that kills itself (SIGKILL) after a step: `python -m tests.recorder.archive.killed_archive URL ROOT STEP`.

Steps are those of building and copying, `planning` (in the transaction), `planned`, and `during` with a phase that their progress names (image, correction,
burning, reading): a moment after it has begun. With `never` it runs until every volume is sealed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg

from recorder.archive import building, copying
from recorder.archive.states import CopyState
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.recorder.archive.house import House

PLANNING, PLANNED, DURING = "planning", "planned", "during"
STEPS = (*building.Step, *(step for step in copying.Step if step is not copying.Step.SENT))
"""Of a volume that is burned; the one left out is a bucket's."""


async def main(
    url: str, root: Path, step: str, say: Callable[[str], None] = lambda _: None, *, moment_s: float = 0.0
) -> None:
    """Run to the step, or to the end. A spoilt disc is an error, as for an operator. Says `started`."""
    phases = set[str]()

    def progress(phase: str, _done: int, _total: int) -> None:
        if step == f"{DURING} {phase}" and phase not in phases:
            threading.Timer(moment_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        phases.add(phase)

    def at_step(done: str) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        source = KeySource(path=root / "recording.keys")
        keys = FileKeys(source) if source.path.exists() else None
        house = House(
            pool=pool, root=root, keys=keys, on_audit=lambda action: at_step(PLANNING) if "planned" in action else None
        )
        say("started")
        if await house.ledger.candidates():
            await house.planned()
            at_step(PLANNED)
        for waiting in await house.ledger.volumes():
            volume = await replace(house.builder(at_step), progress=progress).build(waiting)
            copier = replace(house.copier(at_step), progress=progress)
            for one in await house.ledger.copies(volume.id):
                copy, drive = one, house.drive(one.name)
                if copy.state is CopyState.WANTED:
                    copy = await copier.burn(copy, drive)
                if copy.state is CopyState.WRITTEN:
                    await copier.verify(copy, drive.path)
            await copier.seal(await house.ledger.volume(volume.label))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))

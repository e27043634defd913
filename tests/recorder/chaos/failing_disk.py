"""I/O errors under a recorder at work: the kernel answers EIO, EROFS or ENOSPC to its calls (and its encoder's) on spool and store.

The disks go through phases: good, now and then a failure, bad, gone. Then they are mended, and everything must be there once and whole.

The recorder is a process of its own: `python -m tests.recorder.chaos.failing_disk URL ROOT CHANNEL`, until its input ends.
"""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import asyncpg

from lab.postgres import Postgres
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.service import Recorder
from tests.databases import a_database, a_server
from tests.recorder.builders import a_project, now, settings
from tests.recorder.chaos.calls import Spool, all_kinds
from tests.recorder.chaos.failing_calls import Answering, ask_before_touching_files
from tests.recorder.chaos.figures import Figure, Plan, none_of

ERRORS = 2_000
_CHECKOUT = Path(__file__).resolve().parents[3]
_PHASES = (0.0, 0.01, 0.05, 0.1, 0.3, 1.0)
"""Chances of a call to fail."""
_PHASE_S = 0.5
_WAITING = 12
_LONGEST_S = 1_800.0
_SETTLE_S = 60.0


class Disk:
    """Decides which calls fail."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.mended = True
        self._roots = (root / "spool", root / "store")
        self._chance = chance
        self._until_s = 0.0
        self._share = 0.0

    def __call__(self, _name: str, path: Path) -> int:
        """An errno, or 0."""
        if self.mended or not any(path.is_relative_to(root) for root in self._roots):
            return 0
        if time.monotonic() > self._until_s:
            self._share, self._until_s = self._chance.choice(_PHASES), time.monotonic() + _PHASE_S
        if self._chance.random() >= self._share:
            return 0
        return self._chance.choice([errno.EIO, errno.EIO, errno.EIO, errno.ENOSPC, errno.EROFS])


async def break_the_disk(plan: Plan, server: Postgres) -> list[Figure]:
    """Until so many calls have failed."""
    wanted = plan.count(ERRORS)
    url, root = await a_database(server), plan.folder("failing-disk")
    settings(root)
    chance = plan.chance("failing disk")
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        await a_project(pool)
        spool = Spool(pool, root, await asyncio.to_thread(all_kinds), chance)
        ours, theirs = socket.socketpair()
        with (root / "recorder.log").open("wb") as log:
            recorder = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, url, str(root), str(theirs.fileno()),
                cwd=_CHECKOUT, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        theirs.close()
        disk = Disk(root, chance)
        kernel = await asyncio.to_thread(Answering, ours, disk)
        try:
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.to_thread(ours.recv, 1)  # it is at work
            disk.mended = False
            await _feed(plan, spool, kernel.failed, wanted)
            disk.mended = True
            assert recorder.stdin is not None
            recorder.stdin.close()
            async with asyncio.timeout(2 * _SETTLE_S):
                code = await recorder.wait()
        finally:
            ours.close()
            if recorder.returncode is None:
                recorder.kill()
                await recorder.wait()
        found = await spool.close()
        found += await spool.read_all()
    plan.say("calls that failed: " + ", ".join(f"{what} {count}" for what, count in sorted(kernel.failed.items())))
    failed = kernel.failed.total()
    return [
        Figure(name="I/O errors injected by the kernel", figure=str(failed), demand=f">= {wanted}", kept=failed >= wanted),
        Figure(name="  calls that came in", figure=str(len(spool.calls))),
        Figure(name="  recorder settled afterwards", figure=f"code {code}", demand="code 0", kept=code == 0),
        none_of("  calls lost", found.lost, plan),
        none_of("  calls doubled", found.doubled, plan),
        none_of("  calls torn", found.torn, plan),
    ]  # fmt: skip


async def _feed(plan: Plan, spool: Spool, failed: Counter[str], wanted: int) -> None:
    ends, told = time.monotonic() + _LONGEST_S, 0
    while failed.total() < wanted and time.monotonic() < ends:
        waiting = await spool.waiting()
        if waiting < _WAITING:
            await spool.come(_WAITING - waiting)
        if failed.total() >= told + max(1, wanted // 10):
            told = failed.total()
            plan.say(f"{told} of {wanted} errors, {len(spool.calls)} calls")
        await asyncio.sleep(0.05)


async def run(plan: Plan) -> list[Figure]:
    """The part, on a server of its own."""
    async with a_server(plan.run_dir) as server:
        return await break_the_disk(plan, server)


async def _recorder(url: str, root: Path, channel: socket.socket) -> None:
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        of = settings(root, settle_s=0.1, legs_deadline_s=5.0)
        keys = FileKeys(KeySource(path=root / "recording.keys"))
        recorder = Recorder(pool, of, clock=now, keys=keys)
        await recorder.start()
        channel.sendall(b".")
        await asyncio.to_thread(sys.stdin.read)
        await recorder.settled(_SETTLE_S)
        await recorder.stop()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[3])) as to_parent:
        ask_before_touching_files(to_parent)
        asyncio.run(_recorder(sys.argv[1], Path(sys.argv[2]), to_parent))

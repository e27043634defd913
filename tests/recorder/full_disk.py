"""A recorder whose store or spool is a small disk of its own: `unshare -r -m python -m tests.recorder.full_disk URL ROOT store|spool KIB`.

The disk is a tmpfs in a mount namespace of this process, so it works for root and for plain users and leaves nothing behind.
Prints one JSON object with what was seen.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg

from recorder.service import Recorder
from tests.recorder.builders import a_project, an_attempt, put_legs, row_of, settings, speech, until, wav
from tests.recorder.killed_recorder import now

CALLS = 12
SPOOL_CALLS = 3
STORE_KIB, SPOOL_KIB = 128, 512
_CHECKOUT = Path(__file__).resolve().parents[2]


async def seen_on_a_small_disk(url: str, root: Path, which: str, kib: int | None = None) -> dict[str, Any]:
    """What a recorder in a mount namespace of its own saw."""
    size = kib or {"store": STORE_KIB, "spool": SPOOL_KIB}[which]
    process = await asyncio.create_subprocess_exec(
        "unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.recorder.full_disk", url, str(root), which, str(size),
        cwd=_CHECKOUT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(90):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


def broken(seen: dict[str, Any], which: str) -> list[str]:
    """Promises that what was seen does not keep."""
    if which == "store":
        promises = {
            "dialling is told": seen["reason"] == "store_full",
            "some calls were stored, not all": 1 <= seen["stored_when_full"] < CALLS,
            "every other call has both legs": seen["stored_when_full"] + seen["calls_with_both_legs"] == CALLS,
            "at most the one in work is a part": seen["parts_when_full"] <= 1,
            "all are whole when there is room": (seen["whole_at_last"], seen["parts_at_last"]) == (CALLS, 0),
        }
    else:
        promises = {
            "dialling is told": seen["first"] == "spool_full",
            "the bad one is set aside, the others are kept": seen["states"] == ["poisoned", "stored", "stored"],
            "the truncated one says so": "header_repaired" in seen["cut_faults"],
            "both legs are aside": seen["set_aside"] == 2,
        }
    return [f"not so: {promise} ({seen})" for promise, kept in promises.items() if not kept]


def mount(where: Path, options: str) -> None:
    """Mount, or remount, a tmpfs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], check=True)


async def full_store(pool: asyncpg.Pool[Any], root: Path, kib: int) -> dict[str, Any]:
    """The store takes some calls, then no more; after room was made it takes the rest."""
    of = settings(root)
    mount(of.store_dir, f"size={kib}k")
    await a_project(pool)
    calls = [await an_attempt(pool, number, talk_s=12.0) for number in range(1, CALLS + 1)]
    content = wav(speech(12.0))
    for call in calls:
        put_legs(of.spool_dir, call, content, content)
    recorder = Recorder(pool, of, clock=now)
    await recorder.start()

    async def blocked() -> bool:
        waiting = await pool.fetchval(
            "select count(*) from recordings where state = 'pending' and reason = 'store_full'"
        )
        return recorder.room().blocked and recorder.counts().stored >= 1 and waiting >= 1

    await until(blocked, "the store to be full")
    seen = {
        "reason": recorder.room().reason,
        "stored_when_full": recorder.counts().stored,
        "calls_with_both_legs": len([call for call in calls if len(list(of.spool_dir.glob(f"{call.hex}-?.wav"))) == 2]),
        "parts_when_full": len(list(of.store_dir.rglob("*.part"))),
    }
    mount(of.store_dir, "remount,size=10m")
    await recorder.settled(30)

    async def free() -> bool:
        return not recorder.room().blocked

    await until(free, "dialling to be allowed again")
    rows = [await row_of(pool, call) for call in calls]
    whole = [
        row is not None
        and row.path is not None
        and hashlib.sha256((of.store_dir / row.path).read_bytes()).digest() == row.sha256
        for row in rows
    ]
    seen |= {"whole_at_last": sum(whole), "parts_at_last": len(list(of.store_dir.rglob("*.part")))}
    await recorder.stop()
    return seen


async def full_spool(pool: asyncpg.Pool[Any], root: Path, kib: int) -> dict[str, Any]:
    """Not a byte is free in the spool: a bad call is set aside all the same, a truncated one is kept, and room comes back."""
    of = settings(root, spool_floor_bytes=64 * 1024)
    mount(of.spool_dir, f"size={kib}k")
    await a_project(pool)
    bad, cut, good = [await an_attempt(pool, number, talk_s=8.0) for number in (1, 2, 3)]
    put_legs(of.spool_dir, bad, b"garbage", b"garbage")
    put_legs(of.spool_dir, good, wav(speech(8.0)), wav(speech(8.0)))
    for path in (of.spool_dir / f"{cut.hex}-r.wav", of.spool_dir / f"{cut.hex}-t.wav"):
        with path.open("wb", buffering=0) as leg:
            rest = memoryview(wav(speech(30.0), declared_bytes=0))
            try:
                while rest:
                    rest = rest[leg.write(rest) :]
            except OSError:
                pass  # what Asterisk meets
    recorder = Recorder(pool, of, clock=now)
    await recorder.start()
    first = recorder.room()
    await recorder.settled(30)

    async def free() -> bool:
        return not recorder.room().blocked

    await until(free, "dialling to be allowed again")
    rows = [await row_of(pool, call) for call in (bad, cut, good)]
    await recorder.stop()
    return {
        "first": first.reason,
        "states": [row.state if row else None for row in rows],
        "cut_faults": [fault["fault"] for fault in rows[1].faults] if rows[1] else None,
        "set_aside": len(list((of.spool_dir / "poisoned").glob("*.wav"))),
    }


async def main(url: str, root: Path, which: str, kib: int) -> None:
    """Run one of the two."""
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        seen = await (full_store if which == "store" else full_spool)(pool, root, kib)
    print(json.dumps(seen), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))

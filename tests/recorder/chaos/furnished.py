"""Recordings as they come in, a volume of them, and the ledger of both: what bits are flipped in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from recorder.archive.volume import Volume
from recorder.file_keys import FileKeys, WrappedKey
from recorder.keyring import KeySource
from recorder.sealing import Seal
from recorder.service import Recorder
from tests.recorder.archive.house import House
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project, an_attempt, now, put_legs, settings, speech, wav

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

_CALLS, _LONG = 8, 3
_LONG_S = 60.0
"""Some have several sealed chunks."""


class Bench:
    """Recordings that came in as they do in life, a volume of them, and the ledger of both."""

    def __init__(self, pool: Pool, root: Path) -> None:
        self.pool = pool
        self.house = House(pool=pool, root=root, keys=FileKeys(KeySource(path=root / "recording.keys")))

    async def furnish(self) -> Volume:
        """Sealed recordings by the recorder itself, and some that are not sealed, on one volume."""
        await a_project(self.pool)
        of = settings(self.house.root)
        for number in range(1, _CALLS + _LONG + 1):
            talk_s = _LONG_S if number <= _LONG else 2.0
            call = await an_attempt(self.pool, number, talk_s=talk_s)
            sound = wav(speech(talk_s, seed=number))
            await asyncio.to_thread(put_legs, of.spool_dir, call, sound, sound)
        recorder = Recorder(self.pool, of, clock=now, keys=self.house.keys)
        await recorder.start()
        await recorder.settled(60)
        await recorder.stop()
        for number in range(100, 104):
            await a_stored_recording(self.pool, self.house.store, number)
        await self.pool.execute(_FILLED)  # a lead, an agent and faults, as most calls of a floor have
        return await self.house.checked()

    async def seals(self) -> dict[UUID, Seal | None]:
        """What opens each file."""
        keys = self.house.keys
        assert keys is not None
        found: dict[UUID, Seal | None] = {}
        async with self.pool.acquire() as conn:
            for row in await conn.fetch("select attempt_id, project_key_id, wrapped_key from recordings"):
                call, key_id = row["attempt_id"], row["project_key_id"]
                found[call] = key_id and await keys.seal(
                    conn, call, WrappedKey(project_key_id=key_id, wrapped=row["wrapped_key"])
                )
        return found


_FILLED = """
update recordings set lead_id = 100 + duration_ms, agent_id = gen_random_uuid(), faults = '[{"fault": "short", "ms": 12345}]'
"""

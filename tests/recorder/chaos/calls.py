"""Calls of every kind that the intake meets, with the end each of them must come to, and the books laid side by side with the files."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import asyncpg

from recorder.errors import RecorderError
from recorder.file_keys import FileKeys, WrappedKey
from recorder.keyring import KeySource
from recorder.master import make_master
from recorder.paths import POISONED_DIR, attempt_of, leg_paths
from recorder.sealing import content_of
from tests.recorder.builders import an_attempt, put_legs, speech, wav

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

TALK_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Legs as Asterisk leaves them, how often, and what has to become of the call."""

    name: str
    weight: int
    customer: bytes | None
    agent: bytes | None
    state: str = "stored"
    reason: str | None = None
    content: bytes | None = None  # SHA-256 of the sound, by an encoder that nobody disturbed

    @property
    def legs(self) -> int:
        """Files in the spool."""
        return (self.customer is not None) + (self.agent is not None)


def all_kinds() -> list[Kind]:
    """Blocking: encodes one of each."""
    short, long = wav(speech(TALK_S)), wav(speech(20.0, seed=2))
    kinds = [
        Kind(name="whole", weight=10, customer=short, agent=wav(speech(TALK_S, seed=3, pitch_hz=210))),
        Kind(name="long", weight=3, customer=long, agent=long),
        Kind(name="unclosed", weight=2, customer=wav(speech(TALK_S), declared_bytes=0), agent=short),
        Kind(name="one leg", weight=1, customer=short, agent=None),
        Kind(name="garbage", weight=2, customer=b"garbage", agent=short, state="poisoned", reason="not_wav"),
        Kind(name="empty", weight=1, customer=short[:44], agent=short[:44], state="missing", reason="legs_empty"),
        Kind(name="none", weight=1, customer=None, agent=None, state="missing", reason="legs_never_came"),
    ]
    return [_encoded(kind) if kind.state == "stored" else kind for kind in kinds]


def _encoded(kind: Kind) -> Kind:
    with tempfile.TemporaryDirectory() as folder:
        customer, agent = put_legs(Path(folder), UUID(int=1), kind.customer, kind.agent)
        made = make_master(customer, agent, Path(folder) / "master", expected_ms=None)
    return Kind(
        **{name: getattr(kind, name) for name in ("name", "weight", "customer", "agent")}, content=made.content_sha256
    )


@dataclass(slots=True, kw_only=True)
class Found:
    """What the books and the files say against the promise: nothing lost, nothing doubled, nothing torn."""

    lost: list[str]
    doubled: list[str]
    torn: list[str]

    def __iadd__(self, more: Found) -> Self:
        self.lost += more.lost
        self.doubled += more.doubled
        self.torn += more.torn
        return self


def nothing() -> Found:
    """All is well."""
    return Found(lost=[], doubled=[], torn=[])


class Spool:
    """A spool, a store and a ledger of one recorder, and the calls that came in."""

    def __init__(self, pool: Pool, root: Path, kinds: list[Kind], chance: random.Random) -> None:
        self.pool = pool
        self.root = root
        self.calls: dict[UUID, Kind] = {}
        self.open: dict[UUID, Kind] = {}
        self._kinds = kinds
        self._chance = chance
        self._keys = FileKeys(KeySource(path=root / "recording.keys"))

    @property
    def keys(self) -> FileKeys:
        """Those of this installation."""
        return self._keys

    async def come(self, count: int, only: str | None = None) -> None:
        """Calls end: their legs lie in the spool, their attempts say so. Legs first, as in life."""
        for _ in range(count):
            [kind] = self._chance.choices(self._kinds, [kind.weight for kind in self._kinds])
            if only is not None:
                kind = next(one for one in self._kinds if one.name == only)
            call = await an_attempt(self.pool, len(self.calls) + 1, talk_s=None)
            await asyncio.to_thread(put_legs, self.root / "spool", call, kind.customer, kind.agent)
            await self.pool.execute(_ENDS, call, TALK_S)
            self.calls[call] = self.open[call] = kind

    async def waiting(self) -> int:
        """Calls whose legs are to be taken in still. (Those without legs are found when their hang-up is two minutes old, or all is to be settled.)"""
        with_legs = [call for call, kind in self.open.items() if kind.legs]
        return int(await self.pool.fetchval(_WAITING, with_legs))

    async def look(self) -> Found:
        """In the middle of it: every call has its legs, or what came of them."""
        rows = await self._rows(self.open)
        found = nothing()
        for call, kind in self.open.items():
            row = rows.get(call)
            legs = sum(leg.exists() for leg in leg_paths(self.root / "spool", call))
            if legs == kind.legs:
                continue
            aside = sum(leg.exists() for leg in leg_paths(self.root / "spool" / POISONED_DIR, call))
            if row is not None and row["verified_at"]:
                if not self._file_is(row):
                    found.torn.append(
                        f"{call} ({kind.name}): legs gone, and the verified file is not what the row says"
                    )
            elif row is not None and row["state"] == "missing" == kind.state:
                continue
            elif row is None or row["state"] != "poisoned" or legs + aside != kind.legs:
                found.lost.append(
                    f"{call} ({kind.name}): {legs} + {aside} of {kind.legs} legs, row {row and row['state']}"
                )
        return found

    async def close(self) -> Found:
        """Everything has settled: each open call has come to the end it must come to. They are open no more."""
        found = await self._ends(self.open)
        self.open.clear()
        return found

    async def read_all(self) -> Found:
        """At the very end: every call again, every file of the store, and no file too many."""
        found = await self._ends(self.calls)
        rows = await self._rows(self.calls)
        known = {row["path"] for row in rows.values() if row["path"]}
        there = await asyncio.to_thread(_files_of, self.root / "store")
        found.doubled += [f"{name} is in the store and in no row" for name in sorted(there - known)]
        left = [path.name for path in (self.root / "spool").iterdir() if attempt_of(path.name)]
        found.doubled += [f"{name} is still in the spool" for name in left]
        many = await self.pool.fetch("select attempt_id from recordings group by 1 having count(*) > 1")
        found.doubled += [f"{row['attempt_id']} has several rows" for row in many]
        if (strangers := await self.pool.fetchval("select count(*) from recordings")) != len(self.calls):
            found.doubled.append(f"{strangers} rows of {len(self.calls)} calls")
        return found

    async def _ends(self, calls: Mapping[UUID, Kind]) -> Found:
        rows = await self._rows(calls)
        found = nothing()
        async with self.pool.acquire() as conn:
            for call, kind in calls.items():
                row = rows.get(call)
                what = f"{call} ({kind.name})"
                if row is None:
                    found.lost.append(f"{what} has no row")
                elif row["state"] != kind.state or (row["reason"] != kind.reason):
                    found.lost.append(f"{what} ended as {row['state']}, {row['reason']}")
                elif kind.state == "poisoned":
                    folder = self.root / "spool" / POISONED_DIR
                    if sum(leg.exists() for leg in leg_paths(folder, call)) != kind.legs:
                        found.lost.append(f"{what}: not all legs were set aside")
                elif kind.state == "stored":
                    if row["verified_at"] is None:
                        found.torn.append(f"{what} was never verified")
                    elif not self._file_is(row) or await self._content(conn, row) != kind.content:
                        found.torn.append(f"{what}: its file is not what it should be")
        return found

    def _file_is(self, row: Any) -> bool:
        try:
            content = (self.root / "store" / row["path"]).read_bytes()
        except OSError:
            return False
        return bool(hashlib.sha256(content).digest() == row["sha256"])

    async def _content(self, conn: Any, row: Any) -> bytes | None:
        seal = None
        if row["project_key_id"] is not None:
            key = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
            seal = await self._keys.seal(conn, row["attempt_id"], key)
        try:
            with content_of(self.root / "store" / row["path"], seal) as file:
                return hashlib.sha256(file.read()).digest()
        except (RecorderError, OSError):
            return None

    async def _rows(self, calls: Mapping[UUID, Kind]) -> dict[UUID, Any]:
        return {row["attempt_id"]: row for row in await self.pool.fetch(_ROWS, list(calls))}


_ENDS = """
update attempts set state = 'ended', outcome = 'talked', ended_at = answered_at + make_interval(secs => $2) where id = $1
"""
_WAITING = """
select count(*) from unnest($1::uuid[]) as w(id) left join recordings r on r.attempt_id = w.id
where r.attempt_id is null or r.state = 'pending' or (r.state = 'stored' and r.verified_at is null)
"""
_ROWS = """
select attempt_id, state, reason, path, sha256, verified_at, project_key_id, wrapped_key from recordings where attempt_id = any($1)
"""


def _files_of(store: Path) -> set[str]:
    return {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()}

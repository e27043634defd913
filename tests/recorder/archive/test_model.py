"""Random operations on store, archive and their people: never a file gone without two verified copies or lawful expiry, never under hold."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder import keeping, releasable
from recorder.removals import Removals
from recorder.retention import judge
from tests.recorder.archive import model
from tests.recorder.archive.house import House, no_audit
from tests.recorder.archive_builders import recording_id, state_of
from tests.recorder.builders import PROJECT, now

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_operation_takes_a_file_unlawfully(seed: int) -> None:
    done = model.run(60_000, seed)
    for what in ("release", "expire", "restore", "hold", "lend", "damage", "read: verified", "read: damaged", "plan"):
        assert done[what] > 9, (what, done)  # it did happen


@pytest.mark.parametrize("broken", ["holds", "copies", "lent"])
def test_the_model_sees_a_decision_that_is_wrong(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = judge.may_release

    def wrong(policy, holds, copies):  # type: ignore[no-untyped-def]  # as the one it stands for
        if broken == "holds":
            return right(policy, (), copies)
        if broken == "copies":
            return ""
        return right(
            policy, holds, [judge.Copy(number=one.number, verified=one.verified, lent=False) for one in copies]
        )

    monkeypatch.setattr(model, "may_release", wrong)
    with pytest.raises(model.Violation):
        model.run(60_000, 1)


@pytest.mark.services
async def test_the_statements_release_exactly_what_the_rules_allow(archive: House, pool: Pool, tmp_path: Path) -> None:
    chance = random.Random(4)
    calls = await archive.recordings(48)
    async with pool.acquire() as conn, conn.transaction():
        body = {"minima": [{"from": "call", "years": 9}], "copies": 3}
        await keeping.add_policy(conn, "three", body, at=now(), by="test")
        await keeping.use_policy(conn, PROJECT, "three", at=now(), by="test")
    expected = set()
    for number, call in enumerate(calls):
        held, good, lent = chance.random() < 0.25, chance.randint(0, 4), chance.random() < 0.3
        sealed, changed = chance.random() < 0.85, chance.random() < 0.1
        await _on_a_volume(pool, call, number, good=good, lent=lent, sealed=sealed)
        if held:
            async with pool.acquire() as conn, conn.transaction():
                await keeping.place_hold(conn, PROJECT, "case", attempt_id=call, at=now(), by="test")
        if changed:  # the row's file is another than the volume's
            await pool.execute("update recordings set sha256 = sha256('other'::bytea) where attempt_id = $1", call)
        if not held and sealed and not changed and good - (lent and good > 0) >= 3:
            expected.add(call)
    assert 3 < len(expected) < 40
    ids = {call: await recording_id(pool, call) for call in calls}
    assert await _walked(pool) == {ids[call] for call in expected}
    async with pool.acquire() as conn:
        sums = await releasable.tiers(conn)
    expected_bytes = await pool.fetchval("select sum(bytes) from recordings where attempt_id = any($1)", list(expected))
    assert sums.releasable_bytes == expected_bytes
    remover = Removals(pool=pool, store_dir=archive.store, clock=now, by="test", audit=no_audit)
    await remover.release(list(ids.values()))
    assert {call for call in calls if await state_of(pool, call) == "archived"} == expected
    left = {path.stem for path in archive.store.rglob("*.opus")}
    assert left == {call.hex for call in set(calls) - expected}


async def _walked(pool: Pool) -> set[UUID]:
    """What seems to be free to leave, in stretches of seven."""
    found: set[UUID] = set()
    last: UUID | None = releasable.BEGINNING
    while last is not None:
        async with pool.acquire() as conn:
            walked = await releasable.walk(conn, after=last, before=now(), count=7)
        found.update(walked.ids)
        last = walked.last
    return found


async def _on_a_volume(pool: Pool, call: UUID, number: int, *, good: int, lent: bool, sealed: bool) -> None:
    """A volume of one recording with five copies, so many of them verified, one of these lent."""
    volume_id = await pool.fetchval(
        """insert into archive_volumes (label, project_id, expiry_year, medium, state, recordings, bytes, copies_wanted, created_at, created_by,
                                        rows_sha256, data_bytes, data_sha256, image_bytes, image_sha256, sealed_at)
           values ($1, $2, 2035, 'bd', $3, 1, 1, 3, $4, 'test', sha256('x'), 1, sha256('x'), 1, sha256('x'), $5)
           returning id""",
        f"W9{number:05}", PROJECT, "sealed" if sealed else "checked", now(), now() if sealed else None,
    )  # fmt: skip
    await pool.execute(
        """insert into archive_items (volume_id, recording_id, attempt_id, path, sha256, bytes)
           select $1, id, attempt_id, path, sha256, bytes from recordings where attempt_id = $2""",
        volume_id, call,
    )  # fmt: skip
    for copy in range(1, 6):
        state = "verified" if copy <= good else "damaged"
        await pool.execute(
            """insert into archive_copies (volume_id, number, state, kind, location, written_at, verified_at, lent_to)
               values ($1, $2, $3, 'disc', '/dev/sr0', $4, $4, $5)""",
            volume_id, copy, state, now(), "the client" if lent and copy == 1 else None,
        )  # fmt: skip

"""The chain of the ledger: every change of a row is an entry, and no entry is changed, taken out, put in or cut off unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import pytest

from recorder import chain, chaining, ledger
from recorder.chaining import Checked
from recorder.file_keys import FileKeys
from recorder.keyring import Keyring, KeySource
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import NOW, Running, a_project, an_attempt, put_legs, settings, speech, wav

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

RING = Keyring(current="a", keys={"a": bytes(32)})
THIEF = Keyring(current="a", keys={"a": bytes(range(32))})


async def a_chain(pool: Pool, store: Path, calls: int = 6) -> list[object]:
    """A ledger of stored calls, chained and signed in batches of two; returns the calls."""
    await a_project(pool)
    made: list[object] = []
    for number in range(1, calls + 1):
        made.append(await a_stored_recording(pool, store, number))
        if number % 2 == 0:
            async with pool.acquire() as conn:
                assert await chaining.chain_on(conn, RING, at=NOW + timedelta(seconds=number)) == 2
    return made


async def checked(pool: Pool, kept: chain.Head | None = None, ring: Keyring = RING) -> Checked:
    """The check, now."""
    async with pool.acquire() as conn:
        return await chaining.check(conn, ring, kept=kept)


async def behind_its_back(pool: Pool, *statements: str) -> None:
    """Change the database past its triggers."""
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        for statement in statements:
            await conn.execute(statement)


@pytest.mark.services
async def test_an_untouched_ledger_is_sound(pool: Pool, tmp_path: Path) -> None:
    await a_chain(pool, tmp_path)
    found = await checked(pool)
    assert found.sound
    assert (found.entries, found.heads) == (6, 3)


@pytest.mark.services
async def test_every_change_of_a_row_is_an_entry_and_an_unchanged_update_is_none(pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    async with pool.acquire() as conn:
        await ledger.record_doubted(conn, call)
        await ledger.record_doubted(conn, call)
        await conn.execute(
            "update recordings set customer_ms = customer_ms, note = 'asked for a callback', tags = '{vip}'"
        )
        await conn.execute("delete from recordings")
        assert await chaining.chain_on(conn, RING, at=NOW) == 3
    assert [row["line"].split("|")[3] for row in await pool.fetch("select line from recording_events where line <> 'removed' order by id")] == ["stored"] * 2  # fmt: skip
    assert (await checked(pool)).sound


@pytest.mark.services
@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("update recording_events set line = replace(line, '|stored|', '|missing|') where position = 3", 3),
        ("update recording_events set at = at + interval '1 second' where position = 1", 1),
        ("delete from recording_events where position = 4", 4),
        ("update recording_events set position = 99 where position = 5", 5),
        ("update recording_events set hash = sha256('x') where position = 2", 2),
    ],
)
async def test_a_changed_entry_is_found_at_its_place(pool: Pool, tmp_path: Path, statement: str, place: int) -> None:
    calls = await a_chain(pool, tmp_path)
    await behind_its_back(pool, statement)
    found = await checked(pool)
    assert found.broken_at == place
    if not statement.startswith("delete"):
        assert found.broken_calls == (calls[place - 1],)


@pytest.mark.services
async def test_a_chain_that_was_rewritten_contradicts_its_signed_heads(pool: Pool, tmp_path: Path) -> None:
    await a_chain(pool, tmp_path)
    await behind_its_back(
        pool,
        "update recording_events set line = replace(line, '|stored|', '|missing|') where position = 3",
        "update recording_events set position = null, hash = null where position >= 3",
    )
    async with pool.acquire() as conn:
        await chaining.chain_on(conn, THIEF, at=NOW)
    found = await checked(pool)
    assert found.broken_at is None
    assert 4 in found.bad_heads


@pytest.mark.services
async def test_heads_that_were_signed_by_another_key_are_found(pool: Pool, tmp_path: Path) -> None:
    await a_chain(pool, tmp_path)
    await behind_its_back(
        pool, "delete from recording_heads", "update recording_events set position = null, hash = null"
    )
    async with pool.acquire() as conn:
        await chaining.chain_on(conn, THIEF, at=NOW)
    assert (await checked(pool)).unsigned_heads == (6,)
    assert (await checked(pool, ring=THIEF)).sound


@pytest.mark.services
@pytest.mark.parametrize("moment", ["2026-03-10", "20000-01-01", "4000-01-01 BC", "infinity"])
async def test_a_head_with_another_time_is_found(pool: Pool, tmp_path: Path, moment: str) -> None:
    await a_chain(pool, tmp_path)
    await behind_its_back(pool, f"update recording_heads set at = '{moment}' where position = 4")
    assert (await checked(pool)).unsigned_heads == (4,)


@pytest.mark.services
async def test_a_cut_end_is_found_by_a_head_that_was_kept_elsewhere(pool: Pool, tmp_path: Path) -> None:
    await a_chain(pool, tmp_path)
    async with pool.acquire() as conn:
        [kept] = await chaining.heads(conn, limit=1)
    assert (await checked(pool, kept)).sound
    await behind_its_back(
        pool,
        "delete from recordings where attempt_id in (select attempt_id from recording_events where position > 4)",
        "delete from recording_heads where position > 4",
        "delete from recording_events where position > 4",
    )
    assert (await checked(pool)).sound
    assert (await checked(pool, kept)).bad_heads == (6,)


@pytest.mark.services
async def test_a_row_that_was_changed_past_the_trigger_is_named(pool: Pool, tmp_path: Path) -> None:
    calls = await a_chain(pool, tmp_path)
    await behind_its_back(
        pool,
        "update recordings set sha256 = sha256('x') where attempt_id = (select attempt_id from recording_events where position = 2)",
        "delete from recordings where attempt_id = (select attempt_id from recording_events where position = 5)",
    )
    assert (await checked(pool)).changed_rows == (calls[1], calls[4])


@pytest.mark.services
@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
async def test_whatever_lies_at_the_edge_of_a_stretch_is_found_however_long_the_ledger(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """No statement of the check reads more than a stretch: the pool's time limit would end one that grows with the ledger."""
    calls = await a_chain(pool, tmp_path, 8)
    monkeypatch.setattr(chaining, "CHECK_BATCH", at_once)
    assert (await checked(pool)) == Checked(entries=8, heads=4)
    of = "(select attempt_id from recording_events where position = {})"
    await behind_its_back(
        pool,
        *(
            f"update recordings set sha256 = sha256('x') where attempt_id = {of.format(place)}"
            for place in (1, 2, 4, 8)
        ),
        *(f"delete from recordings where attempt_id = {of.format(place)}" for place in (3, 5)),
        "update recording_heads set hash = sha256('x') where position in (2, 8)",
    )
    found = await checked(pool)
    assert found.changed_rows == (calls[0], calls[1], calls[3], calls[7], calls[2], calls[4])
    assert (found.entries, found.heads, found.bad_heads) == (8, 4, (2, 8))


@pytest.mark.services
async def test_a_row_of_a_call_of_no_time_at_all_is_found_too(pool: Pool, tmp_path: Path) -> None:
    await a_chain(pool, tmp_path, 2)
    lowest = "00000000-0000-0000-0000-000000000000"
    await behind_its_back(
        pool, f"update recordings set attempt_id = '{lowest}' where attempt_id = (select attempt_id from recordings order by attempt_id desc limit 1)"
    )  # fmt: skip
    assert (await checked(pool)).changed_rows[0] == UUID(lowest)


@pytest.mark.services
@pytest.mark.parametrize(
    "change",
    ["wrapped_key = 'other'", "agent_id = gen_random_uuid()", "lead_id = 7", "customer_ms = 0", "agent_db = -20.5", "created_at = created_at + interval '1 day'", "faults = '[]'", "pauses = '[{}]'", "paused_ms = 1"],
)  # fmt: skip
async def test_no_column_of_a_row_can_be_changed_unseen(pool: Pool, tmp_path: Path, change: str) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path)
    await pool.execute(
        """update recordings set wrapped_key = 'key', customer_ms = 900, faults = '[{"fault": "short", "ms": 7}]'"""
    )
    async with pool.acquire() as conn:
        await chaining.chain_on(conn, RING, at=NOW)
    assert (await checked(pool)).sound
    await behind_its_back(pool, f"update recordings set {change}")
    assert (await checked(pool)).changed_rows == (call,)


@pytest.mark.services
@pytest.mark.parametrize("statement", ["update recording_events set line = 'x'", "delete from recording_events", "delete from recording_heads", "update recording_events set hash = null, position = null"])  # fmt: skip
async def test_entries_and_heads_are_append_only(pool: Pool, tmp_path: Path, statement: str) -> None:
    await a_chain(pool, tmp_path, 2)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await pool.execute(statement)


@pytest.mark.services
async def test_the_recorder_chains_what_it_stores_and_signs_it(pool: Pool, tmp_path: Path) -> None:
    of = settings(tmp_path, chain_every_s=0.05)
    await a_project(pool)
    call = await an_attempt(pool)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    keys = FileKeys(KeySource(path=tmp_path / "recording.keys"))
    async with Running(pool, of, keys=keys) as recorder:
        await recorder.settled(20)
        from tests.recorder.builders import until

        async def chained() -> bool:
            return await pool.fetchval("select bool_and(position is not null) from recording_events") is True

        await until(chained, "every entry to be chained")
    found = await checked(pool, ring=await keys.ring())
    assert found.sound
    assert found.entries >= 2
    assert found.heads >= 1


def test_a_signature_holds_for_its_head_alone() -> None:
    head = chain.sign(RING, position=7, hash_=bytes(32), at=NOW)
    key = chain.public_key_of(RING, "a")
    assert key is not None
    assert chain.holds(head, key)
    for other in (replace(head, position=8), replace(head, hash=b"x" * 32), replace(head, at=NOW + timedelta(1))):
        assert not chain.holds(other, key)
    assert not chain.holds(head, chain.public_key_of(THIEF, "a") or b"")
    assert chain.public_key_of(RING, "b") is None

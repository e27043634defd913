"""Keys: wrapped each under the one above, kept in a file of their own, rotated, destroyed."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from recorder import file_keys
from recorder.clip import clip
from recorder.errors import KeysRefused
from recorder.file_keys import FileKeys, WrappedKey
from recorder.keyring import KeySource, parse
from recorder.sealing import content_of
from tests.recorder.builders import (
    NOW,
    Running,
    a_project,
    an_attempt,
    decoded,
    put_legs,
    settings,
    speech,
    wav,
)

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

KEY = base64.b64encode(bytes(32)).decode()
OTHER = base64.b64encode(bytes(range(32))).decode()


def source(root: Path) -> KeySource:
    """The key file of these tests."""
    return KeySource(path=root / "recording.keys")


def made(root: Path) -> FileKeys:
    """A key file, and what uses it."""
    source(root).make("first")
    return FileKeys(source(root))


async def stored_call(pool: Pool, root: Path, keys: FileKeys, number: int = 1) -> asyncpg.Record:
    """A sealed recording; returns its row."""
    of = settings(root)
    await a_project(pool)
    call = await an_attempt(pool, number)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0, seed=4)))
    async with Running(pool, of, keys=keys) as recorder:
        await recorder.settled(20)
    row = await pool.fetchrow("select * from recordings where attempt_id = $1", call)
    assert row is not None
    return row


async def heard(pool: Pool, root: Path, row: asyncpg.Record, keys: FileKeys) -> bytes:
    """What is inside a sealed recording."""
    async with pool.acquire() as conn:
        key = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
        seal = await keys.seal(conn, row["attempt_id"], key)
    with content_of(root / "store" / row["path"], seal) as content:
        return content.read()


@pytest.mark.services
async def test_a_recording_is_sealed_in_the_store_and_its_sound_is_in_the_ledger_s_hash(
    pool: Pool, tmp_path: Path
) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    file = (tmp_path / "store" / row["path"]).read_bytes()
    assert b"Opus" not in file
    assert (hashlib.sha256(file).digest(), len(file)) == (row["sha256"], row["bytes"])
    sound = await heard(pool, tmp_path, row, keys)
    assert (hashlib.sha256(sound).digest(), len(sound)) == (row["content_sha256"], row["content_bytes"])
    assert decoded(sound).shape == (2, 2 * 48000)
    assert row["verified_at"] is not None


@pytest.mark.services
async def test_a_clip_is_cut_out_of_a_sealed_recording(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    async with pool.acquire() as conn:
        key = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
        seal = await keys.seal(conn, row["attempt_id"], key)
    cut = await clip(tmp_path / "store" / row["path"], start_ms=500, end_ms=1500, seal=seal)
    assert decoded(cut).shape[1] == pytest.approx(48000, rel=0.02)


@pytest.mark.services
async def test_no_secret_key_lies_in_the_database_or_in_the_store(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    async with pool.acquire() as conn:
        wrapped = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
        key = (await keys.seal(conn, row["attempt_id"], wrapped)).key
    for table in ("recordings", "recording_project_keys"):
        kept = "".join(one["t"] for one in await pool.fetch(f"select t::text as t from {table} t"))
        assert key.hex() not in kept
    assert key not in (tmp_path / "store" / row["path"]).read_bytes()


@pytest.mark.services
async def test_each_file_has_a_key_of_its_own_and_a_project_has_one(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    rows = [await stored_call(pool, tmp_path, keys, number) for number in (1, 2)]
    assert rows[0]["project_key_id"] == rows[1]["project_key_id"]
    async with pool.acquire() as conn:
        seals = [
            await keys.seal(conn, row["attempt_id"], WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"]))
            for row in rows
        ]  # fmt: skip
    assert seals[0].key != seals[1].key


@pytest.mark.services
async def test_a_wrapped_key_on_another_row_opens_nothing(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    async with pool.acquire() as conn:
        key = WrappedKey(project_key_id=row["project_key_id"], wrapped=row["wrapped_key"])
        with pytest.raises(KeysRefused) as refused:
            await keys.seal(conn, UUID(int=5), key)
    assert refused.value.error_id == "recording_key_damaged"


@pytest.mark.services
async def test_after_a_rotation_old_recordings_open_and_new_ones_are_under_the_new_keys(
    pool: Pool, tmp_path: Path
) -> None:
    keys = made(tmp_path)
    old = await stored_call(pool, tmp_path, keys)
    before = (tmp_path / "store" / old["path"]).read_bytes()
    async with pool.acquire() as conn, conn.transaction():
        name, count = await keys.rotate(conn, at=NOW)
    assert count == 1
    assert await pool.fetchval("select master from recording_project_keys") == name
    assert (tmp_path / "store" / old["path"]).read_bytes() == before
    another_process = FileKeys(source(tmp_path))
    new = await stored_call(pool, tmp_path, another_process, 2)
    assert new["project_key_id"] != old["project_key_id"]
    for row in (old, new):
        assert hashlib.sha256(await heard(pool, tmp_path, row, keys)).digest() == row["content_sha256"]


@pytest.mark.services
async def test_a_destroyed_key_opens_no_copy_and_leaves_the_ledger_row(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    async with pool.acquire() as conn:
        assert await file_keys.destroy(conn, [row["id"]], at=NOW) == 1
        assert await file_keys.destroy(conn, [row["id"]], at=NOW) == 0
    after = await pool.fetchrow("select * from recordings where id = $1", row["id"])
    assert after is not None
    assert (after["wrapped_key"], after["key_destroyed_at"], after["sha256"]) == (None, NOW, row["sha256"])


@pytest.mark.services
async def test_a_project_s_destroyed_key_opens_none_of_its_recordings(pool: Pool, tmp_path: Path) -> None:
    keys = made(tmp_path)
    row = await stored_call(pool, tmp_path, keys)
    await pool.execute("update recording_project_keys set wrapped = null, retired_at = $1", NOW)
    with pytest.raises(KeysRefused) as refused:
        await heard(pool, tmp_path, row, keys)
    assert refused.value.error_id == "recording_key_destroyed"


@pytest.mark.services
async def test_the_first_start_makes_a_key_file_for_its_own_user_alone(pool: Pool, tmp_path: Path) -> None:
    row = await stored_call(pool, tmp_path, FileKeys(source(tmp_path)))
    assert row["wrapped_key"] is not None
    assert (tmp_path / "recording.keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.services
async def test_a_lost_key_file_is_never_replaced_by_a_new_one(pool: Pool, tmp_path: Path) -> None:
    await stored_call(pool, tmp_path, made(tmp_path))
    (tmp_path / "recording.keys").unlink()
    with pytest.raises(KeysRefused) as refused:
        await stored_call(pool, tmp_path, FileKeys(source(tmp_path)), 2)
    assert refused.value.error_id == "recording_keys_missing"
    assert not (tmp_path / "recording.keys").exists()


@pytest.mark.services
async def test_keys_that_go_away_at_work_stop_dialling_and_lose_no_call(pool: Pool, tmp_path: Path) -> None:
    of, keys = settings(tmp_path), made(tmp_path)
    await a_project(pool)
    project_key = await stored_call(pool, tmp_path, keys)
    (tmp_path / "recording.keys").write_text(f"another {KEY}\n")
    call = await an_attempt(pool, 2)
    put_legs(of.spool_dir, call, wav(speech(2.0)), wav(speech(2.0)))
    blind = FileKeys(source(tmp_path))
    async with Running(pool, of, keys=blind) as recorder:
        recorder.signal(call)
        await _until(lambda: _reason(recorder), "recording_master_key_unknown")
        assert len(list(of.spool_dir.glob("*.wav"))) == 2
    assert project_key["state"] == "stored"


async def _reason(recorder: Any) -> str:
    return str(recorder.room().reason)


async def _until(ask: Callable[[], Awaitable[str]], wanted: str) -> None:
    from tests.recorder.builders import until

    async def is_it() -> bool:
        return await ask() == wanted

    await until(is_it, wanted)


def test_the_last_key_of_the_file_is_in_use_and_the_others_open() -> None:
    ring = parse(f"# ours\n2025 {KEY}\n\n2026 {OTHER}  # in use\n")
    assert (ring.current, sorted(ring.keys)) == ("2026", ["2025", "2026"])
    assert ring.unwrap("2026", ring.wrap(b"secret", "a"), "a") == b"secret"
    with pytest.raises(KeysRefused):
        ring.unwrap("2026", ring.wrap(b"secret", "a"), "b")
    with pytest.raises(KeysRefused):
        ring.unwrap("2025", ring.wrap(b"secret", "a"), "a")


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "a", f"a b {KEY}", "a AAAA", f"a {KEY}\na {OTHER}", f"a/b {KEY}", "a ???", f"{KEY}"],
)
def test_a_malformed_key_file_is_refused_without_repeating_what_is_in_it(text: str) -> None:
    with pytest.raises(KeysRefused) as refused:
        parse(text)
    assert refused.value.error_id == "recording_keys_malformed"
    assert KEY not in refused.value.message


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    source(tmp_path).make("a")
    (tmp_path / "recording.keys").chmod(0o640)
    with pytest.raises(KeysRefused) as refused:
        source(tmp_path).load()
    assert refused.value.error_id == "recording_keys_open_to_others"


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    source(tmp_path).make("a")
    before = (tmp_path / "recording.keys").read_bytes()
    with pytest.raises(KeysRefused):
        source(tmp_path).make("b")
    assert (tmp_path / "recording.keys").read_bytes() == before


def test_an_added_key_comes_last_and_the_old_ones_stay(tmp_path: Path) -> None:
    keys = source(tmp_path)
    keys.make("a")
    was = keys.load().keys["a"]
    keys.add("b")
    assert (keys.load().current, keys.load().keys["a"]) == ("b", was)
    assert (tmp_path / "recording.keys").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeysRefused) as refused:
        keys.add("b")
    assert refused.value.error_id == "recording_key_name_taken"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_key_that_root_adds_stays_waihu_s_own(tmp_path: Path) -> None:
    source = KeySource(path=tmp_path / "recording.keys")
    source.make("first")
    waihu = pwd.getpwnam("nobody")
    os.chown(source.path, waihu.pw_uid, waihu.pw_gid)
    source.add("second")
    now = source.path.stat()
    assert (now.st_uid, now.st_gid, now.st_mode & 0o777) == (waihu.pw_uid, waihu.pw_gid, 0o600)


def test_a_key_file_that_cannot_be_written_anew_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KeySource(path=tmp_path / "recording.keys")
    source.make("first")
    before = source.path.read_bytes()

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(KeysRefused) as caught:
        source.add("second")
    assert caught.value.error_id == "recording_keys_unwritable"
    assert (source.path.read_bytes(), [path.name for path in tmp_path.iterdir()]) == (before, ["recording.keys"])


def test_keys_come_from_a_command_and_its_failure_says_no_secret(tmp_path: Path) -> None:
    printing = KeySource(path=tmp_path / "none", command=f"{sys.executable} -c \"print('vault {KEY}')\"")
    assert printing.load().current == "vault"
    for command in ("false", "/no/such/program", f"{sys.executable} -c 'raise SystemExit(3)'"):
        with pytest.raises(KeysRefused) as refused:
            KeySource(path=tmp_path / "none", command=command).load()
        assert refused.value.error_id == "recording_keys_command_failed"
    with pytest.raises(KeysRefused) as elsewhere:
        printing.add("b")
    assert elsewhere.value.error_id == "recording_keys_elsewhere"


def test_a_purpose_has_bytes_of_its_own(tmp_path: Path) -> None:
    source(tmp_path).make("a")
    ring = source(tmp_path).load()
    assert ring.derive("links") == source(tmp_path).load().derive("links")
    assert len({ring.derive("links"), ring.derive("heads"), ring.keys["a"]}) == 3


async def test_a_recorder_that_starts_while_postgresql_is_away_waits_for_it(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its engine is at work already, with calls on it: the process must not end."""
    prepare, asked = FileKeys.prepare, 0

    async def away_at_first(self: FileKeys, conn: Any, **how: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise asyncpg.ConnectionDoesNotExistError("killed")
        return await prepare(self, conn, **how)

    monkeypatch.setattr(FileKeys, "prepare", away_at_first)
    async with Running(pool, settings(tmp_path), keys=FileKeys(KeySource(path=tmp_path / "recording.keys"))):
        assert asked == 2

"""Recordings from the command line: keys rotated, the ledger checked, days bundled, calls found."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from dialer.cli.exits import Exit
from recorder import chaining
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.master import make_master
from recorder.mp3 import transcode
from recorder.sealing import new_seal
from tests.cli.terminal import Waihu, run_in_thread
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project, speech, wav


async def test_rotated_keys_wrap_every_project_s_key_and_leave_an_audit_row(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    keys = KeySource(path=tmp_path / "recording.keys")
    keys.make("first")
    await run_in_thread(lambda: waihu("project", "create", "Autumn"))
    project = await pool.fetchval("select id from projects")
    seal = new_seal(project)
    async with pool.acquire() as connection:
        key = await FileKeys(keys).wrap(connection, project, seal, at=datetime.now(UTC))  # noqa: TID251  # any moment
    code, answer = await run_in_thread(lambda: waihu("recordings", "rotate-keys"))
    assert (code, answer["project_keys"]) == (Exit.OK, 1)
    assert await pool.fetchval("select master from recording_project_keys") == answer["master_key"]
    async with pool.acquire() as connection:
        assert await FileKeys(keys).seal(connection, project, key) == seal
    assert await pool.fetchval("select count(*) from audit_log where action = 'recording_keys_rotated'") == 1


async def test_the_ledger_is_checked_and_a_changed_row_is_an_exit_code(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    await a_project(pool)
    await a_stored_recording(pool, tmp_path / "store")
    KeySource(path=tmp_path / "recording.keys").make("first")
    code, sentence = await run_in_thread(lambda: waihu("recordings", "head"))
    assert (code, "ledger_not_signed" in sentence) == (Exit.NOT_FOUND, True)
    ring = KeySource(path=tmp_path / "recording.keys").load()
    async with pool.acquire() as connection:
        await chaining.chain_on(connection, ring, at=datetime.now(UTC))  # noqa: TID251  # any moment
    _, head = await run_in_thread(lambda: waihu("recordings", "head"))
    code, found = await run_in_thread(lambda: waihu("recordings", "verify-ledger", "--head", head["head"]))
    assert (code, found["sound"], found["heads"]) == (Exit.OK, True, 1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute("update recordings set bytes = bytes + 1")
    code, found = await run_in_thread(lambda: waihu("recordings", "verify-ledger"))
    assert (code, len(found["changed_rows"])) == (1, 1)
    code, _ = await run_in_thread(lambda: waihu("recordings", "verify-ledger", "--head", "12:zz"))
    assert code == Exit.USAGE


async def test_a_day_is_bundled_as_folder_and_zip_with_an_audit_row_for_each_recording(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    project = await a_project(pool)
    for leg in ("r.wav", "t.wav"):
        (tmp_path / leg).write_bytes(wav(speech(2.0)))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    await a_stored_recording(pool, tmp_path / "store", sound=(tmp_path / "m").read_bytes())
    into = [str(tmp_path / name) for name in ("bundle", "bundle.zip")]

    def build() -> Any:
        return [waihu("recordings", "bundle", str(project), "2026-03-10", "--into", one) for one in (*into, into[0])]

    (code, made), (_, zipped), (refused, sentence) = await run_in_thread(build)
    assert (code, made["recordings"], zipped["recordings"]) == (Exit.OK, 1, 1)
    files = await run_in_thread(lambda: {path.name for path in Path(into[0]).rglob("*") if path.is_file()})
    assert {"index.html", "index.xlsx"} < files
    assert any(name.endswith(".opus") for name in files)
    assert zipfile.is_zipfile(into[1])
    assert (refused, "bundle_there_already" in sentence) == (Exit.USAGE, True)
    assert await pool.fetchval("select count(*) from audit_log where action = 'recording_exported'") == 2


async def test_a_file_that_turned_up_elsewhere_tells_whose_it_was(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    project = await a_project(pool)
    for leg, pitch_hz in (("r.wav", 117.0), ("t.wav", 208.0)):
        (tmp_path / leg).write_bytes(wav(speech(30.0, pitch_hz=pitch_hz, seed=round(pitch_hz))))
    make_master(tmp_path / "r.wav", tmp_path / "t.wav", tmp_path / "m", expected_ms=None)
    await a_stored_recording(pool, tmp_path / "store", sound=(tmp_path / "m").read_bytes())

    def work() -> Any:
        for number in range(3):
            into, why = str(tmp_path / f"bundle-{number}"), f"client {number}"
            waihu("recordings", "bundle", str(project), "2026-03-10", "--into", into, "--why", why)
        [copy] = (tmp_path / "bundle-1").rglob("*.opus")
        (tmp_path / "leak.mp3").write_bytes(transcode(copy, None))
        (tmp_path / "text").write_text("no sound", encoding="utf-8")
        return [
            waihu("recordings", "whose", str(file))
            for file in (copy, tmp_path / "leak.mp3", tmp_path / "m", tmp_path / "text")
        ]

    (code, by_file), (code_too, by_sound), (unmarked, nobody), (refused, sentence) = await run_in_thread(work)
    assert (code, by_file["found_by"], by_file["reason"]) == (Exit.OK, "file", "client 1")
    assert (code_too, by_sound["found_by"], by_sound["reason"]) == (Exit.OK, "sound", "client 1")
    assert by_sound["exports_tried"] == 3
    assert (unmarked, nobody["found_by"]) == (1, None)
    assert (refused == Exit.OK, "sound_unreadable" in sentence) == (False, True)


async def test_recordings_are_listed_by_number_result_and_note(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path / "store", number) for number in (1, 2)]
    await pool.execute("update attempts set disposition = 'sale', note = '下周签合同' where id = $1", calls[0])

    def build() -> Any:
        asked = (["--number", "13000000002"], ["--disposition", "sale"], ["--text", "合同"], ["--tag", "vip"])
        return [waihu("recordings", "list", *words) for words in asked]

    found = [[row["call_id"] for row in rows] for _, rows in await run_in_thread(build)]
    assert found == [[str(calls[1])], [str(calls[0])], [str(calls[0])], []]


async def test_a_recording_is_shown_with_where_it_was_paused(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    await a_project(pool)
    await a_stored_recording(pool, tmp_path / "store", 1)
    pause = '[{"from_ms": 1000, "to_ms": 9500, "reason": "other", "note": "a password", "agent_id": "%s", "started_at": "2026-03-09T09:30:01Z", "ended_at": "2026-03-09T09:30:09.5Z", "ended_by": "limit"}]'
    recording = await pool.fetchval(
        "update recordings set paused_ms = 8500, pauses = $1::text::jsonb returning id::text", pause % ("0" * 32)
    )
    code, found = await run_in_thread(lambda: waihu("recordings", "show", recording))
    assert (code, found["paused_ms"], found["pauses"][0]["ended_by"]) == (Exit.OK, 8500, "limit")

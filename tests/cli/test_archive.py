"""`waihu archive` and `waihu retention` on a real database and store, from the plan to a call that comes back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pyrage
import pytest

from dialer.cli.command import run
from dialer.cli.exits import Exit
from recorder.archive.bucket import Place
from recorder.archive.iso import Iso
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from tests.recorder.archive_builders import a_sealed_recording, a_stored_recording, sound_of, state_of
from tests.recorder.builders import NOW, PROJECT, a_project

Waihu = Callable[..., tuple[int, Any]]

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]


@pytest.fixture
def waihu(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Waihu:
    """Runs a command line; gives its exit code and its answer (JSON, or standard error when there is none)."""
    for name, value in {
        "DATABASE_URL": database_url, "REDIS_URL": "", "WORK_DIR": tmp_path / "work", "STORE_DIR": tmp_path / "store",
        "ARCHIVE_DIR": tmp_path / "archive", "ARCHIVE_DRIVE": f"stdio:{tmp_path}/{{name}}.disc", "RECORDING_KEYS": tmp_path / "keys",
        "ARCHIVE_KEYS": tmp_path / "archive.keys",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"WAIHU_{name}", str(value))

    def call(*argv: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = run(["--json", *argv], lambda _parts: 0)
        out, err = capfd.readouterr()
        return code, json.loads(out) if out.strip() else err

    return call


async def test_a_run_burns_two_discs_reads_them_again_releases_and_a_call_comes_back(
    waihu: Waihu, pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    calls = [await a_stored_recording(pool, tmp_path / "store", number) for number in (1, 2)]
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.opus")}

    def copies_by_the_doctor() -> dict[str, str]:
        [found] = waihu("doctor", "--only", "archive copies")[1]
        return dict(found)

    def work() -> None:
        assert waihu("archive", "plan", "--wait-days", "-1")[1][0]["recordings"] == 2
        code, report = waihu("archive", "run", "--medium", "cd", "--wait-days", "-1", "--release-days", "0")
        assert (code, report["sealed"], report["problems"], report["released"]) == (Exit.OK, ["W000001"], [], 2)
        assert [one["state"] for one in waihu("archive", "copies")[1]] == ["verified", "verified"]
        disc = str(tmp_path / "W000001-2.disc")
        assert copies_by_the_doctor()["level"] == "ok"
        waihu("archive", "lend", "W000001-2", "the court")
        lent = copies_by_the_doctor()
        assert (lent["level"], "2 recordings" in lent["seen"], "lent to the court" in lent["seen"]) == (
            "warning",
            True,
            True,
        )
        waihu("archive", "return", "W000001-2")
        assert waihu("archive", "due")[1][0]["name"] == "W000001-2"
        assert waihu("archive", "verify", "W000001-2", "--from", disc)[0] == Exit.OK
        code, said = waihu("archive", "restore", str(calls[0]))
        assert (code, "disc_wanted" in said) == (Exit.FAILED, True)
        assert waihu("archive", "restore", str(calls[0]), "--from", disc)[1]["restored"] == 1
        assert waihu("archive", "restore-volume", "W000001", "--from", disc, "--day", "2026-03-11")[1] == []
        assert waihu("archive", "restore-volume", "W000001", "--from", f"stdio:{disc}")[0] == Exit.OK
        code, made = waihu("archive", "labels", "W000001", "--into", str(tmp_path / "print"))
        page = Path(made["done"]).read_text(encoding="utf-8")
        assert all(text in page for text in ("W000001-1", "W000001-2", "Handover"))

    await asyncio.to_thread(work)
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.opus")} == before
    assert [await state_of(pool, call) for call in calls] == ["stored", "stored"]
    actions = {row["action"] for row in await pool.fetch("select action from audit_log")}
    assert {
        "volume_planned",
        "copy_written",
        "copy_verified",
        "volume_sealed",
        "recordings_released",
        "recording_restored",
    } <= actions


async def test_discs_and_key_files_bring_a_lost_ledger_back_and_the_doctor_knows_the_key_file(
    waihu: Waihu, pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    keys = FileKeys(KeySource(path=tmp_path / "keys"))
    async with pool.acquire() as conn:
        await keys.prepare(conn, at=NOW)
    call = await a_sealed_recording(pool, tmp_path / "store", keys)
    sound = await sound_of(pool, tmp_path / "store", keys, call)

    def doctor() -> tuple[str, str]:
        [found] = waihu("doctor", "--only", "archive keys")[1]
        return found["level"], found["seen"]

    def burn() -> None:
        assert "none yet" in doctor()[1]
        assert waihu("archive", "run", "--medium", "cd", "--wait-days", "-1")[1]["sealed"] == ["W000001"]
        assert doctor()[0] == "ok"
        assert waihu("archive", "erase-again")[1]["recordings"] == 0

    def rebuild() -> None:
        disc, file = str(tmp_path / "W000001-1.disc"), tmp_path / "archive.keys"
        content = file.read_bytes()
        file.unlink()
        code, said = waihu("archive", "rebuild", disc)
        assert (code, "archive_key_file_missing" in said) == (Exit.FAILED, True)
        file.write_bytes(content)
        assert waihu("archive", "rebuild", disc)[1] == [
            {"label": "W000001", "copy": "W000001-1", "recordings": 1, "new": 1, "erased": 0, "check holds": True}
        ]
        assert waihu("archive", "restore", str(call), "--from", disc)[0] == Exit.OK
        file.unlink()
        assert doctor()[0] == "fault"
        assert waihu("retention", "destroy-keys", str(PROJECT), "--why", "over")[0] != Exit.OK

    await asyncio.to_thread(burn)
    await pool.execute(
        "truncate projects, attempts, recordings, recording_project_keys, archive_volumes, archive_items, archive_copies, archive_copy_events cascade"
    )
    shutil.rmtree(tmp_path / "store")
    await asyncio.to_thread(rebuild)
    assert await sound_of(pool, tmp_path / "store", keys, call) == sound


async def test_a_run_puts_a_copy_into_a_folder_and_one_into_a_bucket_and_both_are_verified(
    waihu: Waihu, pool: Pool, tmp_path: Path, locked: Place
) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path / "store")
    bucket = f"s3://{locked.bucket}/{locked.prefix}"

    def work() -> None:
        assert "bucket_unknown" in waihu("archive", "run", "--to", "s3://no-such-bucket", "--wait-days", "-1")[1]
        assert "bucket_address_invalid" in waihu("archive", "run", "--to", "s3://")[1]
        code, report = waihu(
            "archive", "run", "--to", str(tmp_path / "nas"), "--to", bucket, "--wait-days", "-1", "--release-days", "0"
        )
        assert (code, report["sealed"], report["released"]) == (Exit.OK, ["W000001"], 1)
        assert [one["kind"] for one in waihu("archive", "copies")[1]] == ["folder", "s3"]
        assert waihu("archive", "verify", "W000001-2")[0] == Exit.OK
        (tmp_path / "nas" / "W000001-1.iso").unlink()
        assert waihu("archive", "restore", str(call))[1]["restored"] == 1
        assert "bucket_empty" in waihu("archive", "rebuild", f"{bucket}/nothing")[1]
        assert waihu("archive", "rebuild", bucket)[1] == [
            {"label": "W000001", "copy": "W000001-2", "recordings": 1, "new": 0, "erased": 0, "check holds": False}
        ]
        assert "bucket_locked" in waihu("archive", "destroyed", "W000001-2", "--why", "over")[1]

    await asyncio.to_thread(work)
    assert await state_of(pool, call) == "stored"


async def test_an_approved_export_is_burned_for_the_clients_key_and_read_again(
    waihu: Waihu, pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path / "store")
    client = pyrage.x25519.Identity.generate()
    export = await an_approved_export(pool, str(client.to_public()))
    disc = tmp_path / "client.disc"

    def work() -> None:
        assert "handover_target_missing" in waihu("archive", "handover", export)[1]
        assert "export_unknown" in waihu("archive", "handover", str(PROJECT), "--into", str(tmp_path))[1]
        code, made = waihu("archive", "handover", export, "--drive", f"stdio:{disc}")
        assert (code, made["recordings"]) == (Exit.OK, 1)
        assert hashlib.sha256(disc.read_bytes()[: made["bytes"]]).hexdigest() == made["sha256"]
        assert "medium_not_blank" in waihu("archive", "handover", export, "--drive", f"stdio:{disc}")[1]
        code, made = waihu("archive", "handover", export, "--into", str(tmp_path))
        assert Path(made["at"]).stat().st_size == made["bytes"]
        assert "file_exists" in waihu("archive", "handover", export, "--into", str(tmp_path))[1]

    await asyncio.to_thread(work)
    with Iso(disc) as iso:
        sealed = iso.content(f"data/recordings/{call.hex}.opus.age")
    path = await pool.fetchval("select path from recordings where attempt_id = $1", call)
    assert pyrage.decrypt(sealed, [client]) == (tmp_path / "store" / path).read_bytes()
    actions = [row["action"] for row in await pool.fetch("select action from audit_log")]
    assert (actions.count("recording_handed_over"), actions.count("recording_export_fetched")) == (3, 3)


async def an_approved_export(pool: Pool, recipient: str) -> str:
    """Of the day of the builders' calls, asked for and agreed to just now."""
    one, other = [
        await pool.fetchval(
            "insert into users (login, display_name, password_hash, role) values ($1, $1, 'x', 'admin') returning id", login
        )
        for login in ("one", "other")
    ]  # fmt: skip
    return str(
        await pool.fetchval(
            """insert into recording_exports (project_id, first_day, last_day, dispositions, pattern, reason, requested_by, requested_at, approved_by,
                                              approved_at, recipient)
               values ($1, '2026-03-10', '2026-03-10', '{}', '{call}', 'contract', $2, now(), $3, now(), $4) returning id""",
            PROJECT, one, other, recipient,
        )
    )  # fmt: skip


async def test_a_damaged_disc_fails_the_verification_with_the_files_named(
    waihu: Waihu, pool: Pool, tmp_path: Path
) -> None:
    await a_project(pool)
    await a_stored_recording(pool, tmp_path / "store")

    def work() -> None:
        waihu("archive", "run", "--medium", "cd", "--wait-days", "-1")
        disc = tmp_path / "W000001-1.disc"
        content = disc.read_bytes()
        needle = next((tmp_path / "store").rglob("*.opus")).read_bytes()[:64]
        at = content.index(needle)
        disc.write_bytes(content[:at] + b"x" + content[at + 1 :])
        code, faults = waihu("archive", "verify", "W000001-1", "--from", str(disc))
        assert code == Exit.FOUND_FAULTS
        assert any(fault["path"].endswith(".opus") for fault in faults)
        assert waihu("archive", "copies")[1][0]["state"] == "damaged"
        assert waihu("archive", "verify", "W000001-2")[0] == Exit.USAGE
        assert waihu("archive", "destroyed", "W000001-1", "--why", "scratched")[1]["state"] == "destroyed"
        assert waihu("archive", "recopy", "W000001")[1]["name"] == "W000001-3"
        code, report = waihu("archive", "run", "--medium", "cd")
        assert (code, "image_missing" in report["problems"][0]) == (Exit.FOUND_FAULTS, True)
        assert waihu("archive", "fetch", "W000001", "--from", str(disc))[0] == Exit.OK  # though it is damaged
        assert waihu("archive", "run", "--medium", "cd")[0] == Exit.OK
        assert [one["state"] for one in waihu("archive", "copies")[1]] == ["destroyed", "verified", "verified"]
        assert [one["event"] for one in waihu("archive", "history", "W000001-1")[1]][-1] == "destroyed"
        assert waihu("archive", "restore-volume", "W000001", "--day", "yesterday")[0] == Exit.USAGE

    await asyncio.to_thread(work)


async def test_retention_is_set_previewed_held_and_carried_out(waihu: Waihu, pool: Pool, tmp_path: Path) -> None:
    await a_project(pool)
    call = await a_stored_recording(pool, tmp_path / "store")
    policy = tmp_path / "policy.json"
    policy.write_text('{"minima": [{"from": "call", "days": 1, "source": "a test"}]}')

    def work() -> None:
        project = str(PROJECT)
        assert waihu("retention", "add", "short", str(policy))[1]["version"] == 1
        assert waihu("retention", "use", project, "short")[0] == Exit.OK
        hold = waihu("retention", "hold", project, "--why", "a letter")[1]
        assert waihu("retention", "preview", project)[1]["recordings"] == {"on_hold": 1}
        assert waihu("retention", "expire", project)[1]["recordings"] == 0
        assert waihu("retention", "lift", hold["id"], "--why", "answered")[0] == Exit.OK
        assert waihu("retention", "expire", project)[1]["recordings"] == 1
        assert waihu("retention", "proof", str(call))[1][0]["kind"] == "expired"
        policy.write_text("nonsense")
        assert waihu("retention", "add", "short", str(policy))[0] == Exit.USAGE

    await asyncio.to_thread(work)
    assert await state_of(pool, call) == "deleted"

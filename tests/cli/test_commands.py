"""The command line on a real database: what it makes is there, what is wrong becomes a sentence and an exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.cli.command import app, run
from dialer.cli.exits import Exit
from lab.ports import free_port
from tests.cli.terminal import Waihu, run_in_thread


async def test_device_secret_is_shown_once_and_only_a_digest_is_kept(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    def build() -> Any:
        waihu("agent", "create", "8001", "--login", "wang")
        code, made = waihu("agent", "device", "8001")
        assert code == Exit.OK
        assert made["can_register_now"] is False  # no engine runs: Asterisk is told when one starts
        code, again = waihu("agent", "rotate", made["id"])
        assert again["secret"] != made["secret"]
        return made, again

    made, again = await run_in_thread(build)
    kept = await pool.fetchval("select row_to_json(d)::text from devices d")
    assert made["secret"] not in kept
    assert again["secret"] not in kept


async def test_token_works_and_only_its_hash_is_kept(waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]) -> None:
    def build() -> Any:
        waihu("user", "create", "boss", "--role", "admin")
        return waihu("user", "token", "boss", "--name", "scraper")

    code, made = await run_in_thread(build)
    assert code == Exit.OK
    assert made["token"].startswith("wht_")
    assert made["token"] not in await pool.fetchval("select row_to_json(t)::text from api_tokens t")


async def test_errors_are_a_sentence_with_an_id_and_a_code(waihu: Waihu) -> None:
    def build() -> None:
        for argv, expected, error_id in (
            (("project", "show", "Nowhere"), Exit.NOT_FOUND, "project_unknown"),
            (("project", "create", "Autumn", "--mode", "telepathic"), Exit.USAGE, "telepathic"),
            (("project", "create", "Autumn", "--ratio", "99"), Exit.USAGE, "invalid_request"),
            (("calls", "show", "12"), Exit.USAGE, "id_invalid"),
            (("agent", "rotate", "x"), Exit.USAGE, "id_invalid"),
            (("why", "lead", "x"), Exit.USAGE, "id_invalid"),
            (("doctor", "--only", "astrology"), Exit.USAGE, "check_unknown"),
            (("user", "password", "nobody"), Exit.NOT_FOUND, "user_unknown"),
            (("nonsense",), Exit.USAGE, "nonsense"),
        ):
            code, said = waihu(*argv)
            assert (code, error_id in str(said)) == (expected, True), f"{argv}: {code} {said}"
            assert "Traceback" not in str(said)

    await run_in_thread(build)


async def test_two_things_of_one_name_are_a_conflict(waihu: Waihu) -> None:
    def build() -> tuple[int, Any]:
        waihu("project", "create", "Autumn")
        return waihu("project", "create", "Autumn")

    code, said = await run_in_thread(build)
    assert code == Exit.REFUSED
    assert "project_name_taken" in said


def test_away_database_is_unavailable_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAIHU_DATABASE_URL", f"postgresql://waihu:secret@127.0.0.1:{free_port()}/waihu")
    assert run(["user", "list"], lambda _parts: 0) == Exit.UNAVAILABLE
    said = capfd.readouterr().err
    assert "database_unreachable" in said
    assert "secret" not in said


def test_serving_commands_start_their_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[frozenset[str]] = []

    def programs(parts: frozenset[str]) -> int:
        started.append(parts)
        return 0

    for command in ("serve", "engine", "web", "recorder"):
        run([command], programs)
    assert started == [
        frozenset({"engine", "web", "recorder"}),
        frozenset({"engine"}),
        frozenset({"web"}),
        frozenset({"recorder"}),
    ]


def test_every_command_says_what_it_does(capfd: pytest.CaptureFixture[str]) -> None:
    import typer

    def walk(command: Any, name: str) -> list[str]:
        silent = [] if command.help else [name]
        for child, sub in getattr(command, "commands", {}).items():
            silent += walk(sub, f"{name} {child}")
        return silent

    assert walk(typer.main.get_command(app), "waihu") == []


def test_migrate_brings_an_empty_database_up_and_says_so_when_there_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], postgres: Any
) -> None:
    async def fresh() -> None:
        connection = await asyncpg.connect(postgres.url_of("postgres"))
        await connection.execute("drop database if exists cli_migrate with (force)")
        await connection.execute("create database cli_migrate")
        await connection.close()

    asyncio.run(fresh())
    monkeypatch.setenv("WAIHU_DATABASE_URL", postgres.url_of("cli_migrate"))
    assert run(["migrate", "--check"], lambda _parts: 0) == 1
    assert run(["migrate"], lambda _parts: 0) == 0
    assert run(["migrate", "--check"], lambda _parts: 0) == 0
    assert "up to date" in capfd.readouterr().out


def test_asterisk_site_files_are_rendered_private_and_only_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dialer.cli.asterisk import EXAMPLE

    monkeypatch.setenv("WAIHU_AMI_SECRET", "0123456789abcdef")
    site, into = tmp_path / "site.toml", tmp_path / "site"
    site.write_text(EXAMPLE.replace('password = "..."', 'password = "carrier-secret"'), encoding="utf-8")
    into.mkdir()
    assert run(["asterisk", "configure", str(site), "--into", str(into), "--check"], lambda _parts: 0) == 1
    assert list(into.iterdir()) == []
    assert run(["asterisk", "configure", str(site), "--into", str(into)], lambda _parts: 0) == 0
    assert "carrier-secret" in (into / "pjsip.conf").read_text(encoding="utf-8")
    assert (into / "pjsip.conf").stat().st_mode & 0o007 == 0
    assert run(["asterisk", "configure", str(site), "--into", str(into), "--check"], lambda _parts: 0) == 0
    assert "carrier-secret" not in capfd.readouterr().out


@pytest.mark.parametrize(
    "content",
    ["sip_port = ", "colour = 'blue'", "sip_port = 5060", "sip_port = 'x'\nhttp_port = 1\nrtp_ports = [10000, 10100]"],
)
def test_bad_site_file_is_told(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WAIHU_AMI_SECRET", "0123456789abcdef")
    site = tmp_path / "site.toml"
    site.write_text(content, encoding="utf-8")
    assert run(["asterisk", "configure", str(site), "--into", str(tmp_path)], lambda _parts: 0) == Exit.USAGE
    assert "Traceback" not in capfd.readouterr().err

"""The command line on a real database: what it makes is there, what is wrong becomes a sentence and an exit code."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dialer.cli.command import app, run
from dialer.cli.exits import Exit
from lab.ports import free_port
from recorder import chaining
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource
from recorder.master import make_master
from recorder.sealing import new_seal
from tests.recorder.archive_builders import a_stored_recording
from tests.recorder.builders import a_project, speech, wav

Waihu = Callable[..., tuple[int, Any]]
SCRIPT = Path(__file__).resolve().parents[2] / "lab" / "data" / "insurance-script.json"
PASSWORD = "correct horse battery"


@pytest.fixture
def waihu(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Waihu:
    """Runs a command line; gives its exit code and its answer (JSON, or standard error when there is none)."""
    monkeypatch.setenv("WAIHU_DATABASE_URL", database_url)
    monkeypatch.setenv("WAIHU_REDIS_URL", "")
    monkeypatch.setenv("WAIHU_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("WAIHU_RECORDING_KEYS", str(tmp_path / "recording.keys"))
    monkeypatch.setenv("WAIHU_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("WAIHU_NEW_PASSWORD", PASSWORD)

    def call(*argv: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = run(["--json", *argv], lambda parts: 40 + len(parts))
        out, err = capfd.readouterr()
        return code, json.loads(out) if out.strip() else err

    return call


async def run_in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


async def test_shares_limits_and_departures_are_set_from_the_command_line(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    def work() -> None:
        waihu("trunk", "create", "carrier", "--endpoint", "carrier", "--channels", "30", "--cps", "5")
        waihu("caller-number", "add", "+862155550100", "--trunk", "carrier")
        waihu("agent", "create", "8001", "--login", "wang")
        waihu("project", "create", "Autumn", "--trunk", "carrier")
        shares = ("--weight", "3", "--priority", "2", "--guaranteed-agents", "4", "--cancel-after-s", "15")
        code, project = waihu("project", "change", "Autumn", *shares)
        assert code == Exit.OK
        kept = [project[name] for name in ("share_weight", "share_priority", "guaranteed_agents", "cancel_after_s")]
        assert kept == [3, 2, 4, 15]
        code, number = waihu("caller-number", "limit", "+862155550100", "--channels", "5", "--per-hour", "100")
        assert code == Exit.OK
        assert (number["max_channels"], number["max_cps"], number["max_per_hour"]) == (5, None, 100)
        code, node = waihu("trunk", "limit-node", "--cps", "2.5")
        assert code == Exit.OK
        assert (node["max_channels"], node["max_cps"]) == (None, "2.50")
        code, said = waihu("agent", "leaves", "8001", "--at", "2999-06-01T18:00", "--logout")
        assert code == Exit.OK
        code, said = waihu("agent", "leaves", "8001", "--at", "2999-06-01T12:00", "--reason", "lunch")
        assert [(one["at"], one["to"], one["reason"]) for one in said] == [
            ("2999-06-01T04:00:00Z", "break", "lunch"),
            ("2999-06-01T10:00:00Z", "logged_out", ""),
        ]
        assert waihu("agent", "leaves", "8001", "--at", "noon")[0] == Exit.USAGE
        assert waihu("agent", "leaves", "8001", "--clear") == (Exit.OK, [])

    await run_in_thread(work)


async def test_project_can_be_built_from_nothing(waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]) -> None:
    def build() -> None:
        assert waihu("user", "create", "boss", "--role", "admin")[0] == Exit.OK
        assert (
            waihu("trunk", "create", "carrier", "--endpoint", "carrier", "--channels", "30", "--cps", "5")[0] == Exit.OK
        )
        assert waihu("caller-number", "add", "+862155550100", "--trunk", "carrier")[0] == Exit.OK
        code, agent = waihu("agent", "create", "8001", "--login", "wang")
        assert code == Exit.OK
        assert agent["number"] == "8001"
        code, project = waihu(
            "project",
            "create",
            "Autumn",
            "--trunk",
            "carrier",
            "--caller-number",
            "+862155550100",
            "--agent",
            "8001",
            "--window",
            "08:30-19:00",
            "--mode",
            "ratio",
            "--ratio",
            "1.5",
        )
        assert code == Exit.OK
        assert (project["state"], project["window_start"], project["ratio"]) == ("draft", "08:30:00", "1.50")
        code, shown = waihu("project", "show", "Autumn")
        assert (shown["agents"], shown["caller_numbers"]) == (1, 1)
        assert "agreed" in shown["dispositions"]

    await run_in_thread(build)
    actors = {row["actor"] for row in await pool.fetch("select actor from audit_log")}
    assert len(actors) == 1
    assert actors.pop().startswith("command line (")


async def test_preview_rules_of_a_project_are_set_and_its_previews_counted(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    def build() -> Any:
        waihu("project", "create", "Autumn", "--mode", "preview")
        rules = ("--preview-at-limit", "dial", "--preview-skips-per-hour", "5", "--preview-skip-wait-s", "60")
        code, changed = waihu("project", "change", "Autumn", *rules)
        assert code == Exit.OK
        assert (changed["preview_at_limit"], changed["preview_skips_per_hour"]) == ("dial", 5)
        assert waihu("project", "previews", "Autumn") == (Exit.OK, [])
        waihu("agent", "create", "8001", "--login", "wang")

    await run_in_thread(build)
    await pool.execute(
        "insert into preview_passes (project_id, lead_id, agent_id, how, reason, at)"
        " select p.id, 1, a.id, 'skipped', '+86 138 1234 5678 again', now() from projects p, agents a"
    )
    code, [row] = await run_in_thread(lambda: waihu("project", "previews", "Autumn"))
    assert (code, row["skipped"], row["lapsed"]) == (Exit.OK, 1, 0)
    assert "1234" not in str(row["reasons"]), "a number in a reason is masked"


async def test_trial_is_set_shown_and_begun_anew(waihu: Waihu) -> None:
    def build() -> None:
        waihu("project", "create", "Autumn", "--mode", "trial")
        waihu("project", "change", "Autumn", "--trial-size", "40", "--trial-counts", "reached")
        code, trial = waihu("project", "trial", "Autumn")
        assert (code, trial["size"], trial["counts"], trial["taken"]) == (Exit.OK, 40, "reached", 0)
        assert trial["answered"] == {"count": 0, "total": 0, "low": "0.0000", "high": "1.0000"}
        code, anew = waihu("project", "trial", "Autumn", "--new")
        assert code == Exit.OK
        assert anew["began_at"] > trial["began_at"]

    await run_in_thread(build)


async def test_survey_is_checked_set_shown_and_exported(waihu: Waihu, tmp_path: Path) -> None:
    steps = {"hello": {"kind": "play", "prompt": "hello", "next": "hello"}}
    file, answers = tmp_path / "survey.json", tmp_path / "answers.csv"

    def build() -> None:
        waihu("project", "create", "Autumn", "--mode", "agentless")
        file.write_text(json.dumps({"start": "hello", "steps": steps}), encoding="utf-8")
        code, problems = waihu("survey", "check", "Autumn", str(file))
        assert (code, [one["what"] for one in problems]) == (Exit.FOUND_FAULTS, ["endless"])
        code, said = waihu("survey", "set", "Autumn", str(file))
        assert (code, "survey_invalid" in said) == (Exit.USAGE, True)
        steps["hello"]["next"] = None  # type: ignore[assignment]
        file.write_text(json.dumps({"start": "hello", "steps": steps}), encoding="utf-8")
        assert waihu("survey", "set", "Autumn", str(file))[1]["version"] == 1
        assert waihu("survey", "show", "Autumn")[1]["start"] == "hello"
        assert waihu("survey", "results", "Autumn")[1] == {"version": 1, "outcomes": {}, "answers": {}}
        assert waihu("survey", "export", "Autumn", str(answers))[0] == Exit.OK
        assert waihu("survey", "export", "Autumn", str(answers))[0] == Exit.REFUSED
        file.write_text("[]", encoding="utf-8")
        assert "survey_malformed" in waihu("survey", "set", "Autumn", str(file))[1]

    await run_in_thread(build)
    assert answers.read_text(encoding="utf-8-sig").startswith("call,lead,number")


async def test_a_script_is_checked_from_a_file(waihu: Waihu, tmp_path: Path) -> None:
    file = tmp_path / "script.json"

    def work() -> None:
        assert waihu("scripts", "check", str(SCRIPT)) == (Exit.OK, [])
        document = json.loads(SCRIPT.read_text(encoding="utf-8"))
        document["questionnaire"]["questions"][-1]["next"] = [{"to": "is_person"}]
        file.write_text(json.dumps(document), encoding="utf-8")
        code, found = waihu("scripts", "check", str(file))
        assert (code, [one["code"] for one in found]) == (Exit.FOUND_FAULTS, ["endless"])
        for text in ("{", "[]"):
            file.write_text(text, encoding="utf-8")
            code, said = waihu("scripts", "check", str(file))
            assert (code, "script_no_json" in said) == (Exit.USAGE, True)

    await run_in_thread(work)


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


async def test_a_list_is_looked_at_taken_and_written_out_again(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        waihu("project", "create", "Autumn")
        file, out = tmp_path / "list.csv", tmp_path / "out.csv"
        file.write_text("A;B\nWang;13812345678\n", encoding="utf-8")
        code, [row] = waihu("import", "Autumn", str(file), "--number", "B", "--preview")
        assert (code, row["numbers"], row["error"]) == (Exit.OK, ["+8613812345678"], "")
        assert waihu("import", "Autumn", str(file), "--number", "B")[1]["accepted"] == 1
        assert waihu("import", "Autumn", str(file), "--number", "B")[0] == Exit.REFUSED
        assert waihu("export", "Autumn", str(out), "--format", "csv")[0] == Exit.OK
        assert "138****5678" in out.read_text(encoding="utf-8-sig")
        assert waihu("export", "Autumn", str(out))[0] == Exit.REFUSED

    await run_in_thread(work)


async def test_a_projects_supply_is_set_and_its_numbers_are_located(waihu: Waihu, tmp_path: Path) -> None:
    def work() -> None:
        waihu("project", "create", "Autumn")
        condition = '{"field": "city", "op": "=", "value": "深圳"}'
        assert waihu("supply", "count", "Autumn", "--filter", condition)[1] == {"matching": 0, "leads": 0}
        code, made = waihu("supply", "set", "Autumn", "--filter", condition, "--order", "newest")
        assert (code, made["applied"]) == (Exit.OK, False)
        assert waihu("supply", "set", "Autumn", "--filter", "{")[0] == Exit.USAGE
        assert waihu("supply", "lasting", "Autumn")[1]["alarm"] is True
        table = tmp_path / "prefixes.csv"
        table.write_text("prefix,province,city,carrier\n1381234,广东,深圳,x\n", encoding="utf-8")
        assert waihu("locality", "load", str(table), "--name", "t", "--version", "1", "--use")[0] == Exit.OK
        assert waihu("locality", "of", "13812345678")[1]["city"] == "深圳"
        assert waihu("locality", "list")[1][0]["in_use"] is True
        assert waihu("locality", "relocate")[1]["changed"] == 0

    await run_in_thread(work)


async def test_good_rows_are_imported_and_bad_ones_come_back(waihu: Waihu, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("number,name\n13800000001,A\n13800000002,B\nnonsense,C\n", encoding="utf-8")

    def build() -> Any:
        waihu("project", "create", "Autumn")
        return waihu("import", "Autumn", str(file))

    code, result = await run_in_thread(build)
    assert code == Exit.OK
    assert (result["accepted"], result["rejected"]) == (2, 1)
    assert "nonsense" in await run_in_thread(lambda: Path(result["reject_file"]).read_text(encoding="utf-8"))


async def test_do_not_call_takes_numbers_and_answers_about_them(waihu: Waihu) -> None:
    def build() -> None:
        assert waihu("dnc", "add", "--why", "asked for it", "13800000001", "13800000002")[1]["added"] == 2
        assert waihu("dnc", "check", "13800000001")[0] == Exit.OK
        assert waihu("dnc", "check", "13800000009")[0] == Exit.FOUND_FAULTS
        assert waihu("dnc", "remove", "13800000001", "--why", "a mistake")[0] == Exit.OK
        assert waihu("dnc", "check", "13800000001")[0] == Exit.FOUND_FAULTS
        listed = waihu("dnc", "list")[1]
        assert len(listed) == 1
        assert "13800000002" not in listed[0]["number"]

    await run_in_thread(build)


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


async def test_starting_a_project_without_an_engine_says_that_none_runs(waihu: Waihu) -> None:
    def build() -> tuple[int, Any]:
        waihu("trunk", "create", "carrier", "--endpoint", "carrier", "--channels", "30")
        waihu("project", "create", "Autumn", "--trunk", "carrier")
        return waihu("project", "start", "Autumn")

    code, said = await run_in_thread(build)
    assert code == Exit.UNAVAILABLE
    assert "engine_away" in said


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


def test_simulation_compares_the_modes_and_says_how_long_the_data_lasts(waihu: Waihu) -> None:
    code, rows = waihu("simulate", "--agents", "5", "--hours", "0.5", "--days", "2", "--leads", "400")
    assert code == Exit.OK
    by_mode = {row["mode"]: row for row in rows}
    assert by_mode.keys() == {"progressive", "ratio", "predictive"}
    assert by_mode["progressive"]["abandoned_percent"]["mean"] == 0
    assert by_mode["ratio"]["utilisation_percent"]["mean"] > by_mode["progressive"]["utilisation_percent"]["mean"]
    assert by_mode["ratio"]["data_lasts_h"]["mean"] < by_mode["progressive"]["data_lasts_h"]["mean"]


def test_simulation_compares_crews(waihu: Waihu) -> None:
    crews = ["--agents", "4", "--agents", "8", "--mode", "progressive"]
    code, rows = waihu("simulate", *crews, "--hours", "0.5", "--days", "2", "--leads", "400")
    assert code == Exit.OK
    assert [(row["mode"], row["agents"]) for row in rows] == [("progressive", 4), ("progressive", 8)]
    assert rows[1]["data_lasts_h"]["mean"] < 0.7 * rows[0]["data_lasts_h"]["mean"]


def test_simulation_is_drawn_and_said_in_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture, curve = tmp_path / "modes.svg", tmp_path / "day.svg"
    short = ["simulate", "--agents", "5", "--hours", "0.5", "--days", "2", "--mode", "ratio"]
    assert run([*short, "--picture", str(picture), "--curve", str(curve)], lambda _parts: 0) == Exit.OK
    said = capfd.readouterr().out
    assert "With 5 agents: talk " in said
    assert "busy, 0 to 100 %" in said
    assert "ratio" in picture.read_text(encoding="utf-8")
    assert "a mean day" in curve.read_text(encoding="utf-8")
    assert run([*short, "--picture", str(tmp_path / "modes.bmp")], lambda _parts: 0) == Exit.USAGE
    assert "picture_invalid" in capfd.readouterr().err


def test_simulation_of_a_project_without_history_says_what_to_do(waihu: Waihu) -> None:
    assert waihu("project", "create", "Autumn")[0] == Exit.OK
    code, said = waihu("simulate", "--project", "Autumn")
    assert code == Exit.REFUSED
    assert said.startswith("too_little_history:")
    assert "--history-days" in said


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


async def test_a_contract_is_changed_and_its_budget_shown(waihu: Waihu) -> None:
    def build() -> Any:
        waihu("project", "create", "Autumn")
        changed = waihu("project", "contract", "Autumn", "--cap", "0.01", "--period", "days_30", "--no-late")
        return changed, waihu("project", "budget", "Autumn"), waihu("project", "contract", "Autumn", "--cap", "3")

    (code, changed), (_, shown), (refused, sentence) = await run_in_thread(build)
    assert (code, changed["cap"], changed["period"], changed["left"]) == (Exit.OK, "0.0100", "days_30", 0)
    assert "late" not in changed["definition"].lower().split()
    assert shown["definition"] == changed["definition"]
    assert refused == Exit.USAGE
    assert "abandonment_cap" in sentence


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

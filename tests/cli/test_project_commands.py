"""Projects from the command line: made from nothing, their shares, contracts, trials, surveys, scripts and supply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg

from dialer.cli.exits import Exit
from tests.cli.terminal import Waihu, run_in_thread

SCRIPT = Path(__file__).resolve().parents[2] / "lab" / "data" / "insurance-script.json"


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


async def test_callbacks_are_listed_and_given_to_somebody_else(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record]
) -> None:
    def build() -> None:
        waihu("project", "create", "Autumn")
        for number, login in (("8001", "wang"), ("8002", "li")):
            waihu("agent", "create", number, "--login", login)
        waihu("team", "move", "8002", "--project", "Autumn")

    await run_in_thread(build)
    await pool.execute(
        "insert into leads (project_id, number, state, next_at, callback_agent_id)"
        " select p.id, '+8613812345678', 'callback', '2026-06-01T04:00Z', a.id from projects p, agents a where a.number = '8001'"
    )

    def work() -> None:
        code, [row] = waihu("callback", "list", "--agent", "8001", "--project", "Autumn")
        assert (code, row["agent_number"], row["kept"]) == (Exit.OK, "8001", False)
        assert waihu("callback", "reassign", "--from", "8001")[0] == Exit.USAGE
        assert waihu("callback", "reassign", "--to", "8002")[0] == Exit.USAGE
        assert waihu("callback", "reassign", "--from", "8001", "--to", "8002")[1]["moved"] == 1
        assert waihu("callback", "list")[1][0]["kept"] is True
        assert waihu("callback", "reassign", "--lead", str(row["lead_id"]), "--shared")[1]["moved"] == 1
        assert waihu("callback", "list", "--shared")[1][0]["agent_number"] is None

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


async def test_a_script_is_loaded_published_compared_and_put_on_trial(waihu: Waihu, tmp_path: Path) -> None:
    file, answers, written = tmp_path / "script.json", tmp_path / "answers.csv", tmp_path / "written.json"
    document = json.loads(SCRIPT.read_text(encoding="utf-8"))

    def work() -> None:
        waihu("project", "create", "Autumn")
        assert waihu("scripts", "load", "保险", str(SCRIPT))[1] == {"version": 1, "findings": []}
        assert waihu("scripts", "publish", "保险")[1]["version"] == 1
        code, shown = waihu("scripts", "show", "保险")
        written.write_text(json.dumps(shown), encoding="utf-8")
        file.write_text(json.dumps(document | {"title": "新版", "sections": [{"name": "a", "title": "A", "text": "{谁}"}]}), encoding="utf-8")  # fmt: skip
        code, saved = waihu("scripts", "load", "保险", str(file))
        assert (code, saved["findings"][0]["code"]) == (Exit.FOUND_FAULTS, "reference_unknown")
        code, said = waihu("scripts", "publish", "保险")
        assert (code, "script_invalid" in said) == (Exit.USAGE, True)
        file.write_text(json.dumps(document | {"title": "新版"}), encoding="utf-8")
        waihu("scripts", "load", "保险", str(file))
        waihu("scripts", "publish", "保险")
        [difference] = waihu("scripts", "compare", "保险", "1", "2")[1]
        assert (difference["place"], difference["before"], difference["after"]) == ("title", document["title"], "新版")
        waihu("scripts", "load", "保险", str(written))
        assert waihu("scripts", "compare", "保险", "1", "3") == (Exit.OK, []), "what is shown can be loaded"
        assert [(row["published"], row["draft"]) for row in waihu("scripts", "list")[1]] == [(2, 3)]
        code, made = waihu("scripts", "assign", "Autumn", "保险", "--version", "1", "--trial-version", "2", "--percent", "20")  # fmt: skip
        assert (code, made["used"], made["trial"], made["trial_percent"]) == (Exit.OK, "保险 1", "保险 2", 20)
        assert "script_trial_invalid" in waihu("scripts", "assign", "Autumn", "保险", "--trial-version", "2")[1]
        found = waihu("scripts", "results", "Autumn")[1]
        assert (found["used"]["attempts"], found["trial"]["converted"]["total"]) == (0, 0)
        assert waihu("scripts", "export", "Autumn", str(answers))[0] == Exit.OK
        assert waihu("scripts", "export", "Autumn", str(answers))[0] == Exit.REFUSED
        assert waihu("scripts", "unassign", "Autumn")[0] == Exit.OK
        code, said = waihu("scripts", "show", "没有")
        assert (code, "waihu scripts list" in said) == (Exit.NOT_FOUND, True)

    await run_in_thread(work)
    assert answers.read_text(encoding="utf-8-sig").startswith("call,lead,number")


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


async def test_starting_a_project_without_an_engine_says_that_none_runs(waihu: Waihu) -> None:
    def build() -> tuple[int, Any]:
        waihu("trunk", "create", "carrier", "--endpoint", "carrier", "--channels", "30")
        waihu("project", "create", "Autumn", "--trunk", "carrier")
        return waihu("project", "start", "Autumn")

    code, said = await run_in_thread(build)
    assert code == Exit.UNAVAILABLE
    assert "engine_away" in said

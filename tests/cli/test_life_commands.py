"""The life of a project, its stop rules, alarms and log, and who works on it, from the command line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from campaigns.projects import load_project
from dialer.cli.exits import Exit
from tests.builders import a_lead, a_script, a_trunk
from tests.campaigns.test_claim_rules import a_rule, under
from tests.cli.terminal import Waihu, run_in_thread

pytestmark = pytest.mark.services


async def test_a_project_is_signed_and_led_into_its_trial_and_says_what_is_missing_before(
    waihu: Waihu, pool: asyncpg.Pool[asyncpg.Record], tmp_path: Path
) -> None:
    paper = tmp_path / "试呼确认.pdf"
    paper.write_bytes(b"signed")
    await a_trunk(pool, name="carrier")

    def make() -> Any:
        waihu("agent", "create", "8001", "--login", "wang")
        waihu("team", "create", "资深组", "--senior")
        waihu("team", "put", "8001", "资深组")
        waihu("caller-number", "add", "+862155550100", "--trunk", "carrier")
        waihu("project", "create", "秋季", "--sign-offs", "--trunk", "carrier", "--caller-number", "+862155550100")
        waihu("team", "projects", "秋季", "--team", "资深组:3")
        code, refused = waihu("project", "step", "秋季", "begin_trial")
        assert code == Exit.REFUSED
        assert "step_refused" in refused
        for sentence in ("Publish a script", "Import leads", "Choose a rule pack", "Record the client's sign-off"):
            assert sentence in refused, "everything at once"
        return waihu("project", "life", "秋季")[1]

    found = await run_in_thread(make)
    assert found["life"] == "draft"
    project_id = await pool.fetchval("select id from projects")
    await pool.execute("update caller_numbers set certified = '{[2000-01-01,2100-01-01)}'")
    await a_script(pool, project_id)
    await a_lead(pool, project_id)
    await under(pool, await load_project(pool, project_id), a_rule("attempts", most=50))

    def go() -> Any:
        code, kept = waihu("project", "sign", "秋季", "trial", "--signer", "陈经理", "--evidence", str(paper))
        assert (code, kept["evidence_sha256"]) == (Exit.OK, hashlib.sha256(b"signed").hexdigest())
        assert waihu("project", "step", "秋季", "begin_trial")[1]["done"] == "秋季 is trial."
        assert waihu("project", "step", "秋季", "stop", "--why", "话术")[0] == Exit.OK
        code, lift = waihu("project", "step", "秋季", "lift")
        assert (code, "Say what was changed" in lift) == (Exit.REFUSED, True)
        assert [one["used_by"] for one in waihu("project", "sign-offs", "秋季")[1]] == ["begin_trial"]
        assert waihu("project", "figures", "秋季")[1]["frozen"] == []
        return waihu("project", "steps", "秋季")[1]

    steps = await run_in_thread(go)
    assert [(one["step"], one["why"]) for one in steps] == [("stop", "话术"), ("begin_trial", "")]
    assert all(one["actor"].startswith("command line") for one in steps)


async def test_stop_rules_are_set_shown_and_taken_away(waihu: Waihu) -> None:
    def build() -> None:
        waihu("project", "create", "秋季")
        assert waihu("project", "stop-rules", "秋季")[1] == []
        code, kept = waihu(
            "project", "stop-rules", "秋季", "--rule", "complaints:0.002:0.01", "--rule", "answers:0.3:0.1"
        )
        assert code == Exit.OK
        assert [(one["kind"], one["tolerated"], one["alarming"]) for one in kept] == [
            ("answers", 0.3, 0.1),
            ("complaints", 0.002, 0.01),
        ]
        for wrong in ("complaints:0.01:0.002", "answers:0.1:0.3", "weather:0.1:0.2", "complaints"):
            code, said = waihu("project", "stop-rules", "秋季", "--rule", wrong)
            assert (code, "invalid_request" in said) == (Exit.USAGE, True), wrong
        assert waihu("project", "stop-rules", "秋季", "--none")[1] == []
        assert waihu("project", "alarms", "秋季", "--all")[1] == []

    await run_in_thread(build)


async def test_a_days_log_is_kept_signed_and_written_to_a_file(waihu: Waihu, tmp_path: Path) -> None:
    page = tmp_path / "log.md"

    def build() -> None:
        waihu("project", "create", "秋季")
        assert waihu("project", "log", "秋季", "2026-06-01")[1]["facts"]["calls"]["calls"] == 0
        code, missing = waihu("project", "log", "秋季", "2026-06-01", "--file", str(page))
        assert (code, "daily_log_unknown" in missing) == (Exit.NOT_FOUND, True)
        code, kept = waihu("project", "log", "秋季", "2026-06-01", "--sign", "--notes", "一切正常", "--file", str(page))
        assert (code, kept["signed"], kept["notes"]) == (Exit.OK, True, "一切正常")
        code, said = waihu("project", "log", "秋季", "2026-06-01", "--file", str(page))
        assert (code, "file_exists" in said) == (Exit.REFUSED, True)
        assert "day_invalid" in waihu("project", "log", "秋季", "yesterday")[1]

    await run_in_thread(build)
    assert "一切正常" in page.read_text(encoding="utf-8")


async def test_an_agent_is_moved_between_projects_with_a_priority(waihu: Waihu) -> None:
    def build() -> None:
        waihu("agent", "create", "8001", "--login", "wang")
        for name in ("秋季", "续保"):
            waihu("project", "create", name)
        code, moved = waihu("team", "move", "8001", "--project", "续保:5", "--project", "秋季")
        assert code == Exit.OK
        assert [(one["name"], one["priority"]) for one in moved] == [("续保", 5), ("秋季", 0)]
        assert waihu("team", "move", "8001")[1] == moved
        assert waihu("team", "move", "8001", "--none")[1] == []
        assert waihu("team", "list")[1] == []

    await run_in_thread(build)

"""`waihu rules`: look at packs, check and add one's own, choose for a project."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from campaigns import do_not_call
from campaigns.sql import Pool
from dialer.cli.exits import Exit
from tests.builders import NOON, a_lead, a_number, a_project
from tests.campaigns.rules.test_loading import HEAD, RULE
from tests.cli.terminal import Waihu

pytestmark = pytest.mark.services


async def test_a_pack_is_checked_added_chosen_and_shown(waihu: Waihu, pool: Pool, tmp_path: Path) -> None:
    project = await a_project(pool, name="Autumn")
    mine, wrong = tmp_path / "mine.toml", tmp_path / "wrong.toml"
    mine.write_text(HEAD + RULE, encoding="utf-8")
    wrong.write_text(HEAD + RULE.replace("09:00-20:00", "9-20"), encoding="utf-8")

    def work() -> None:
        assert waihu("rules", "check", str(mine)) == (
            Exit.OK,
            {"lines": 1} | _said("mine@1: 1 lines, all true to their tests"),
        )
        code, error = waihu("rules", "check", str(wrong))
        assert code == Exit.USAGE
        assert "rule_pack_malformed" in error
        assert "Line 10" in error
        assert waihu("rules", "add", str(mine))[0] == Exit.OK
        assert {one["pack"] for one in waihu("rules", "list")[1]} >= {"mine@1", "us-telemarketing@2026.1"}
        assert waihu("rules", "show", "uk-ofcom")[1]["jurisdiction"] == "GB"
        code, used = waihu("rules", "use", "Autumn", "mine", "cn-collection@2026.1")
        assert (code, used["packs"]) == (Exit.OK, ["cn-collection@2026.1", "mine@1"])
        assert len(waihu("rules", "of", "Autumn")[1]) == 2
        tried = waihu("rules", "dry-run", "Autumn", "cn-insurance")[1]
        assert (tried["newly_refused"], "insurance-refusals" in tried["shut"]) == (0, True)
        assert waihu("rules", "use", "Autumn", "mars")[0] == Exit.NOT_FOUND
        assert waihu("rules", "use", str(project.id))[0] == Exit.OK
        assert waihu("rules", "of", "Autumn")[1] == []

    await asyncio.to_thread(work)


def _said(message: str) -> dict[str, Any]:
    return {"done": message}


async def test_why_tells_a_number_a_lead_and_a_list_without_an_engine(waihu: Waihu, pool: Pool) -> None:
    project = await a_project(pool, name="Autumn")
    number = a_number()
    lead_id = await a_lead(pool, project.id, number=number)
    await do_not_call.add(pool, [number], reason="asked", source="letter", now=NOON)

    def work() -> None:
        code, said = waihu("why", "number", number, "--project", "Autumn")
        assert (code, said["why"]) == (Exit.OK, "lead")
        gates = {gate["gate"]: gate["passed"] for gate in said["gates"]}
        assert (gates["project"], gates["lead"], gates["do_not_call"]) == (True, False, False)
        code, said = waihu("why", "lead", str(lead_id), "--at", "2026-05-01T00:00:00")
        assert (code, said["sentence"]) == (Exit.OK, "The lead came later.")
        assert waihu("why", "project", "Autumn")[1]["sentence"] == "1 leads: 1 do not call."
        assert waihu("why", "number", number)[0] == Exit.USAGE

    await asyncio.to_thread(work)


async def test_a_list_of_others_is_loaded_whole_and_its_wrong_lines_are_named(waihu: Waihu, tmp_path: Path) -> None:
    file = tmp_path / "registry.txt"
    file.write_text("138 1234 5678\n\n12\n+12025550123\n", encoding="utf-8")

    def work() -> None:
        code, said = waihu("dnc", "load", "us-national-dnc", str(file))
        assert (code, "line 3" in said) == (Exit.REFUSED, True)
        assert waihu("dnc", "load", "us-national-dnc", str(file), "--anyway")[1] == {
            "done": "2 numbers in us-national-dnc; 1 lines are no number, the first is line 3", "entries": 2, "left_out": 1,
        }  # fmt: skip
        (listed,) = waihu("dnc", "lists")[1]
        assert (listed["category"], listed["entries"], listed["source"]) == ("us-national-dnc", 2, "registry.txt")
        assert waihu("dnc", "check", "13812345678")[0] == Exit.OK
        assert waihu("dnc", "load", "own", str(file))[0] == Exit.REFUSED

    await asyncio.to_thread(work)

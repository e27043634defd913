"""`waihu rules`: look at packs, check and add one's own, choose for a project."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from campaigns.sql import Pool
from dialer.cli.exits import Exit
from tests.builders import a_project
from tests.campaigns.rules.test_loading import HEAD, RULE
from tests.cli.test_commands import Waihu, waihu

__all__ = ["waihu"]
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
        assert waihu("rules", "use", "Autumn", "mars")[0] == Exit.NOT_FOUND
        assert waihu("rules", "use", str(project.id))[0] == Exit.OK
        assert waihu("rules", "of", "Autumn")[1] == []

    await asyncio.to_thread(work)


def _said(message: str) -> dict[str, Any]:
    return {"done": message}

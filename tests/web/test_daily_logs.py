"""The log of a day over the API: drafted, kept, signed, and given as a file."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dialer.domain.roles import Role
from tests.builders import a_project
from tests.web.conftest import House

pytestmark = pytest.mark.services


async def test_a_manager_drafts_keeps_and_signs_a_day_and_anybody_who_reads_reports_gets_the_file(house: House) -> None:
    project = await a_project(house.pool, zone="UTC")
    manager, director = await house.person(Role.PROJECT_MANAGER), await house.person(Role.GENERAL_MANAGER)
    today = house.clock().date()
    path = f"/projects/{project.id}/logs"
    draft = await manager.ask("GET", f"{path}/{today}")
    assert draft.body["facts"]["calls"]["calls"] == 0
    early = await manager.ask("POST", f"{path}/{today}", {"notes": "x", "sign": True})
    assert (early.status, early.error_id) == (409, "day_not_over")
    assert (await director.ask("POST", f"{path}/{today}", {"notes": "x"})).error_id == "role_not_allowed"
    yesterday = today - timedelta(days=1)
    kept = await manager.ask("POST", f"{path}/{yesterday}", {"notes": "一切正常", "sign": True})
    assert (kept.status, kept.body["version"], kept.body["signed"], kept.body["notes"]) == (201, 1, True, "一切正常")
    assert (await director.ask("GET", path)).body["logs"] == [kept.body]
    [row] = await house.audited("daily_log_saved")
    assert (row["detail"]["sha256"], row["detail"]["signed"]) == (kept.body["sha256"], True)
    page = await director.ask("GET", f"{path}/{yesterday}/file", format="markdown")
    assert page.status == 200
    assert "一切正常" in page.raw.decode()
    missing = await director.ask("GET", f"{path}/{today}/file")
    assert (missing.status, missing.error_id) == (404, "daily_log_unknown")

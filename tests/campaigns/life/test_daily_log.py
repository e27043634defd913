"""The log of a day: from the rows of that day in the project's zone, in versions that never change, and safe to open."""

from __future__ import annotations

import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from python_calamine import CalamineWorkbook

from campaigns.errors import BadInput, Conflict, Missing
from campaigns.life.daily_log import DailyLog, draft, load, logs_of, save
from campaigns.life.log_pages import clock, markdown
from campaigns.life.steps import By, take
from campaigns.life.table import Step
from campaigns.life.watching import AlarmKind, raise_alarm
from campaigns.projects import Project
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from campaigns.sql import Pool
from dialer.web.life.daily_logs import write_log
from dialer.web.life.types import LogFormat
from tests.builders import NOON, a_lead, a_project, an_agent, an_attempt

DAY = date(2026, 6, 1)
MIDNIGHT = NOON - timedelta(hours=12)  # in Shanghai


async def a_day(pool: Pool) -> Project:
    """A project that has dialled: two talk, one is busy, one was the day before; it was stopped, and an alarm was raised."""
    project = await a_project(pool, name="秋季", client="银行")
    agent_id = await an_agent(pool, projects=[project.id])
    for lead, (talk_s, said) in enumerate(((20, "agreed"), (5, "complaint"))):
        at = NOON + timedelta(minutes=lead)
        one = await an_attempt(pool, project, now=at)
        over = at + timedelta(seconds=talk_s)
        await finish(
            pool,
            [
                EndedAttempt(
                    attempt_id=one.attempt_id,
                    outcome="connected",
                    ended_at=over,
                    answered_at=at,
                    bridged_at=at,
                    agent_id=agent_id,
                )
            ],
        )
        await wrap_up(pool, WrapUp(attempt_id=one.attempt_id, disposition=said, now=over, agent_id=agent_id))
        await pool.execute(
            "insert into agent_times (agent_id, state, project_id, began_at, ended_at) values ($1, 'talking', $2, $3, $4)", agent_id, project.id, at, over,
        )  # fmt: skip
    for at in (NOON + timedelta(minutes=5), MIDNIGHT - timedelta(seconds=1)):
        one = await an_attempt(pool, project, now=at)
        await finish(pool, [EndedAttempt(attempt_id=one.attempt_id, outcome="busy", ended_at=at)])
    await a_lead(pool, project.id)
    async with pool.acquire() as conn:
        await take(
            conn,
            project.id,
            Step.STOP,
            by=By(actor="li", role="team_leader"),
            now=NOON + timedelta(hours=1),
            why="投诉",
        )
    await raise_alarm(pool, project.id, AlarmKind.SUPPLY, NOON + timedelta(hours=2), {"fresh": 1})
    return project


async def keep(pool: Pool, project: Project, *, notes: str = "", sign: bool = False, hours: float = 3) -> DailyLog:
    async with pool.acquire() as conn:
        return await save(
            conn, project, DAY, notes=notes, sign=sign, user_id=None, actor="wang", now=NOON + timedelta(hours=hours)
        )


@pytest.mark.services
async def test_the_draft_has_the_facts_of_the_day_in_the_projects_zone_and_of_no_other(pool: Pool) -> None:
    project = await a_day(pool)
    facts = await draft(pool, project, DAY, NOON + timedelta(hours=3))
    calls: dict[str, Any] = facts["calls"]
    assert {name: value for name, value in calls.items() if name not in {"outcomes", "results"}} == {
        "calls": 3, "leads": 3, "reached": 2, "connected": 2, "valid": 1, "converted": 1, "complaints": 1, "abandoned": 0, "talk_s": 25,
    }  # fmt: skip
    assert calls["outcomes"] == {"busy": 1, "connected": 2}
    assert calls["results"] == {"agreed": 1, "complaint": 1}
    [agent] = facts["agents"]
    assert (agent["calls"], agent["converted"], agent["talk_s"], agent["work_s"], facts["work_s"]) == (2, 1, 25, 25, 25)
    assert [(one["at"], one["step"], one["by"], one["why"]) for one in facts["steps"]] == [
        ("13:00:00", "stop", "li", "投诉")
    ]
    assert [(one["kind"], one["raised"]) for one in facts["alarms"]] == [("supply", "14:00:00")]
    assert facts["left"]["fresh"] == 1
    before = await draft(pool, project, DAY - timedelta(days=1), NOON)
    assert before["calls"]["calls"] == 1


@pytest.mark.services
async def test_each_saving_is_a_version_and_a_signed_one_stays_as_it_was_whatever_comes_after(pool: Pool) -> None:
    project = await a_day(pool)
    first = await keep(pool, project, notes="早上")
    with pytest.raises(Conflict) as early:
        await keep(pool, project, sign=True)
    assert early.value.error_id == "day_not_over"
    signed = await keep(pool, project, notes="全天", sign=True, hours=12)
    await pool.execute("update attempts set disposition = 'refused'")
    later = await keep(pool, project, notes="更正", sign=True, hours=13)
    assert (first.version, signed.version, later.version) == (1, 2, 3)
    kept = await load(pool, project.id, DAY, 2)
    assert (kept.document, kept.sha256, kept.content["notes"]) == (signed.document, signed.sha256, "全天")
    assert kept.content["facts"]["calls"]["converted"] == 1
    assert (await load(pool, project.id, DAY)).content["facts"]["calls"]["converted"] == 0
    assert [one.version for one in await logs_of(pool, project.id)] == [3, 2, 1]
    for change in ("update daily_logs set signed = false", "delete from daily_logs"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await pool.execute(change)


@pytest.mark.services
async def test_a_day_to_come_has_no_log_and_one_that_nobody_saved_is_missing(pool: Pool) -> None:
    project = await a_project(pool)
    with pytest.raises(BadInput) as future:
        await draft(pool, project, DAY + timedelta(days=1), NOON)
    assert future.value.error_id == "day_in_future"
    with pytest.raises(Missing) as missing:
        await load(pool, project.id, DAY)
    assert missing.value.error_id == "daily_log_unknown"


@pytest.mark.services
async def test_a_log_is_written_as_a_workbook_without_formulas_and_as_markdown(pool: Pool, tmp_path: Path) -> None:
    project = await a_day(pool)
    kept = await keep(pool, project, notes="=1+1\n主显号码 | 更换", sign=True, hours=12)
    write_log(kept, tmp_path / "log.xlsx", LogFormat.XLSX)
    rows = CalamineWorkbook.from_path(str(tmp_path / "log.xlsx")).get_sheet_by_index(0).to_python()
    cells = [[cell for cell in row if cell] for row in rows]
    assert ["转化 converted", "1"] in cells
    assert ["13:00:00", "stop", "stopped", "li", "投诉"] in cells
    with zipfile.ZipFile(tmp_path / "log.xlsx") as book:
        assert b"<f>" not in book.read("xl/worksheets/sheet1.xml")
    write_log(kept, tmp_path / "log.md", LogFormat.MARKDOWN)
    page = (tmp_path / "log.md").read_text(encoding="utf-8")
    assert page.startswith("# 项目日志 Project log\n")
    assert "| 秋季 | 银行 | 2026-06-01 |" in page
    assert "| 主显号码 &#124; 更换 |" in page
    assert "wang 2026-06-01 16:00 UTC" in page


def test_what_a_person_typed_makes_no_html_and_no_column() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ("calls", "leads", "reached", "connected", "valid", "converted", "complaints", "abandoned", "talk_s"), 0
    )
    facts = {
        "project": "<script>", "client": "a|b", "day": "2026-06-01", "drafted_at": "", "calls": {**nothing, "outcomes": {}, "results": {}}, "agents": [],
        "agent_count": 0, "work_s": 0, "steps": [], "alarms": [], "left": dict.fromkeys(("fresh", "coming_back", "callbacks", "dialable_now"), 0),
    }  # fmt: skip
    page = markdown({"facts": facts, "notes": ""}, signed="")
    assert "<script>" not in page
    assert "a|b" not in page
    assert clock(3725) == "1:02:05"

"""Why is it not dialling? Each answer names what holds it back at that moment."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from dialer.db import pace_samples
from dialer.engine import words
from tests.builders import an_agent
from tests.campaigns.test_claim_rules import a_rule, under
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("update projects set state = 'paused'", "project_not_running"),
        ("update trunks set enabled = false", "trunk_disabled"),
        ("update projects set trunk_id = null", "no_trunk"),
        ("update caller_numbers set state = 'resting'", "no_caller_number"),
        ("update leads set next_at = now() + interval '1 hour'", "not_due"),
        ("update leads set state = 'done'", "done"),
        ("update leads set state = 'exhausted'", "exhausted"),
        ("update leads set state = 'do_not_call'", "do_not_call"),
        ("select 1", "no_agents"),
    ],
)
async def test_a_lead_that_is_not_called_is_explained_by_what_holds_it_back(
    stage: Stage, change: str, why: str
) -> None:
    project = await stage.project()
    [lead_id] = await stage.leads(project, 1)
    await stage.pool.execute(change)
    await stage.start()
    await stage.until(lambda: stage.engine.parts.placing.paces or why != "no_agents", "a decision")
    said = await stage.engine.explain_lead(lead_id)
    assert (said["dialling"], said["why"]) == (False, why)
    assert said["sentence"]
    assert said["sentence_zh"]


async def test_a_lead_outside_the_hours_is_explained_by_them(stage: Stage) -> None:
    an_hour = (datetime.now(UTC) + timedelta(hours=3)).time().replace(minute=0, second=0, microsecond=0)  # noqa: TID251
    end = time(23, 59) if an_hour.hour == 23 else an_hour.replace(hour=an_hour.hour + 1)
    project = await stage.project(zone="UTC", window_start=an_hour, window_end=end)
    [lead_id] = await stage.leads(project, 1)
    await stage.start()
    said = await stage.engine.explain_lead(lead_id)
    assert (said["why"], said["sentence_zh"]) == ("outside_window", words.LIMITS["window"].zh)


async def test_a_list_whose_zones_all_sleep_limits_its_project_by_the_window_of_its_rules(stage: Stage) -> None:
    project = await stage.project(zone="UTC")
    await stage.leads(project, 3)
    now = datetime.now(UTC)  # noqa: TID251 - the engine's clock
    days = [f"{now + timedelta(days=ahead):%a}".lower() for ahead in (0, 1)]
    told = ", ".join(
        f'{{ allowed = {str(ahead > 1).lower()}, at = {now + timedelta(days=ahead):%Y-%m-%dT12:00:00Z}, zone = "UTC" }}'
        for ahead in (0, 2)
    )
    rule = a_rule("window", tests=told, days=days, open=[], unknown_zone="project")
    await under(stage.pool, project, rule, at=now)
    await stage.start()
    await stage.agent(project)
    await stage.until(
        lambda: stage.engine.explain_project(project.id)["why"] == "window", "limited by the rules' window"
    )
    said = stage.engine.explain_project(project.id)
    assert f"{now + timedelta(days=2):%Y-%m-%d} 00:00" in said["reason"]
    assert await stage.pool.fetchval("select count(*) from leads where state = 'new' and attempts = 0") == 3
    assert await stage.pool.fetchval("select count(*) from attempts") == 0


async def test_the_last_decisions_of_a_project_say_what_limited_them(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    await stage.agent(project)
    await stage.call()
    said = stage.engine.explain_pace(project.id)
    assert sum(decision["place"] for decision in said["recent"]) == 1
    assert {decision["limited_by"] for decision in said["recent"]} == said["limits"].keys()
    assert "theta" in said["recent"][-1]


async def test_what_was_decided_is_there_by_the_minute_after_the_engine_has_gone(stage: Stage) -> None:
    engine = await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    await stage.agent(project)
    await stage.call()
    await engine.stop()
    now = datetime.now(UTC)  # noqa: TID251 - these minutes are what is tested
    minutes = await pace_samples.between(stage.pool, project.id, now - timedelta(minutes=5), now, 9)
    assert sum(minute.placed for minute in minutes) == 1
    assert sum(minute.decisions for minute in minutes) == sum(sum(minute.limits.values()) for minute in minutes) > 0
    assert {"ready", "theta", "in_flight"} <= minutes[-1].figures.keys()


async def test_an_agent_without_a_call_is_explained_by_state_seat_and_projects(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    stranger = await an_agent(stage.pool)
    assert _why(stage.engine.explain_agent(stranger)) == "logged_out"
    agent_id = await stage.agent(project)
    reasons = {"leads", "agents", "nothing"}
    await stage.until(lambda: _projects(stage, agent_id).get(str(project.id)) in reasons, "a decision with the agent")
    assert _why(stage.engine.explain_agent(await stage.agent(project, wanted="break"))) == "break"
    stage.on_floor(agent_id).project_ids = frozenset()
    assert _why(stage.engine.explain_agent(agent_id)) == "no_project"


def _why(said: dict[str, Any]) -> str:
    assert said["sentence"]
    assert said["sentence_zh"]
    return str(said["why"])


def _projects(stage: Stage, agent_id: Any) -> dict[str, str]:
    found: dict[str, str] = stage.engine.explain_agent(agent_id).get("projects", {})
    return found

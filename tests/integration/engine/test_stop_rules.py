"""Stop rules and alarms through an engine: what is alarming is stopped at once and by the database, said to everybody, and lifted by a person only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaigns.caller_numbers.watching import add_complaint_of_call
from campaigns.life.steps import By, history, take
from campaigns.life.stop_rules import RuleKind, StopRule
from campaigns.life.table import Life, Step
from campaigns.life.watching import alarms, save_stop_rules
from campaigns.projects import Project, load_project
from campaigns.rule_packs import PackRef, add_pack, choose
from dialer.domain.commands import ReloadProject, StartProject, WrapUp
from dialer.domain.errors import Conflict
from dialer.domain.states import AgentState
from tests.campaigns.rules.test_loading import HEAD, RULE
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
COLLAPSE = StopRule(kind=RuleKind.ANSWERS, tolerated=0.9, alarming=0.1, false_stop_calls=100, least_calls=5)


async def watched(stage: Stage, rule: StopRule, **settings: Any) -> Project:
    project = await stage.project(**settings)
    await save_stop_rules(stage.pool, project.id, [rule], LONG_AGO)
    await stage.engine.execute(ReloadProject(project_id=project.id))
    return project


async def refused(stage: Stage, count: int) -> None:
    """So many calls, one after the other, are busy."""
    for _ in range(count):
        call = await stage.call()
        stage.asterisk.refuse(call.attempt_id, 17, "486")
        await stage.ended_row(call.attempt_id)


async def life(stage: Stage, project: Project) -> Life:
    return (await load_project(stage.pool, project.id)).life


async def stopped(stage: Stage, project: Project) -> None:
    async def is_so() -> bool:
        return await life(stage, project) is Life.STOPPED

    await stage.until(is_so, "the project stopped")


def shown(stage: Stage) -> list[dict[str, Any]]:
    return list(stage.engine.feed.snapshot()["state"]["alarm"].values())


async def test_answers_that_collapse_stop_the_project_and_everybody_is_told_who_and_why(stage: Stage) -> None:
    await stage.start()
    project = await watched(stage, COLLAPSE)
    await stage.leads(project, 9)
    await stage.agent(project)
    await refused(stage, 4)
    assert await life(stage, project) is Life.FORMAL
    await refused(stage, 1)
    await stopped(stage, project)
    await stage.until(lambda: shown(stage), "the alarm on the feed")
    [step] = await history(stage.pool, project.id)
    assert (step.step, step.actor, step.role) == (Step.STOP, "stop rule answers", None)
    last = await stage.pool.fetchval("select max(ended_at) from attempts")
    assert step.at - last < timedelta(seconds=1), "within the time of a tick"
    assert step.why == "Stop rule answers: 0 of 5 calls; tolerated 90.00%, alarming 10.00%."
    assert shown(stage)[0]["kind"] == "answers"
    assert shown(stage)[0]["detail"]["why"] == step.why
    row = await stage.pool.fetchrow("select * from audit_log where action = 'project_step'")
    assert row is not None
    assert (row["actor"], row["detail"]["calls"]) == ("stop rule answers", 5)
    assert stage.engine.parts.metrics.stops.labels(rule="answers")._value.get() == 1
    assert stage.engine.explain_project(project.id)["why"] == "paused"
    with pytest.raises(Conflict, match="Lift the stop first"):
        await stage.engine.execute(StartProject(project_id=project.id))


async def test_what_rings_is_hung_up_when_a_rule_stops_its_project(stage: Stage) -> None:
    await stage.start()
    project = await watched(stage, COLLAPSE)
    await stage.leads(project, 9)
    for _ in range(2):
        await stage.agent(project)
    await refused(stage, 4)
    await stage.call(2)
    first, second = stage.asterisk.calls
    stage.asterisk.ring(_attempt(second.channel_id))
    stage.asterisk.refuse(_attempt(first.channel_id), 17, "486")
    await stopped(stage, project)
    await stage.until(lambda: not stage.asterisk.calls, "no call on the wire")
    assert (await stage.ended_row(_attempt(second.channel_id)))["outcome"] == "canceled"


async def test_a_lifted_stop_begins_with_new_evidence_and_clears_its_alarm(stage: Stage) -> None:
    await stage.start()
    project = await watched(stage, COLLAPSE)
    await stage.leads(project, 12)
    await stage.agent(project)
    await refused(stage, 5)
    await stopped(stage, project)
    async with stage.pool.acquire() as conn:
        by = By(actor="wang", role="project_manager")
        await take(conn, project.id, Step.LIFT, by=by, now=stage.engine._clock.now(), changed="新的主显号码")
    await stage.engine.execute(ReloadProject(project_id=project.id))
    assert shown(stage) == []
    assert await alarms(stage.pool, project.id, open_only=True) == []
    await stage.engine.execute(StartProject(project_id=project.id))
    await refused(stage, 4)
    assert await life(stage, project) is Life.FORMAL
    await refused(stage, 1)
    await stopped(stage, project)


async def test_a_restart_forgets_no_evidence(stage: Stage) -> None:
    await stage.start()
    project = await watched(stage, COLLAPSE)
    await stage.leads(project, 9)
    await stage.agent(project)
    await refused(stage, 4)
    before = stage.engine.parts.stops.evidence(project.id)
    await stage.die()
    await stage.start()
    assert stage.engine.parts.stops.evidence(project.id) == pytest.approx(before)
    await refused(stage, 1)
    await stopped(stage, project)


async def test_results_that_mean_a_complaint_stop_the_project(stage: Stage) -> None:
    await stage.start()
    rule = StopRule(kind=RuleKind.COMPLAINTS, tolerated=0.1, alarming=0.9, false_stop_calls=50, least_calls=2)
    project = await watched(stage, rule, wrap_up_limit_s=60)
    await stage.leads(project, 5)
    agent_id = await stage.agent(project)
    for _ in range(2):
        call = await stage.call()
        await stage.asterisk.answer(call.attempt_id)
        stage.asterisk.hang_up(call.attempt_id)
        await stage.until(lambda: stage.state(agent_id) is AgentState.WRAP_UP, "wrap-up")
        await stage.engine.execute(WrapUp(agent_id=agent_id, disposition="complaint"))
    await stopped(stage, project)
    assert (await history(stage.pool, project.id))[0].why.startswith("Stop rule complaints: 2 of 2 calls")


async def test_complaints_that_are_written_down_after_the_calls_stop_the_project_as_well(stage: Stage) -> None:
    await stage.start()
    rule = StopRule(kind=RuleKind.COMPLAINTS, tolerated=0.1, alarming=0.9, false_stop_calls=50, least_calls=2)
    project = await watched(stage, rule)
    await stage.leads(project, 2)
    await stage.agent(project)
    for _ in range(2):
        call = await stage.call()
        await stage.asterisk.answer(call.attempt_id)
        stage.asterisk.hang_up(call.attempt_id)
        await stage.ended_row(call.attempt_id)
    assert await life(stage, project) is Life.FORMAL
    for row in await stage.pool.fetch("select id from attempts"):
        async with stage.pool.acquire() as conn:
            await add_complaint_of_call(conn, row["id"], source="customer", note="", user_id=None, now=LONG_AGO)
        await stage.engine.execute(ReloadProject(project_id=project.id))
    await stopped(stage, project)


async def test_data_that_runs_out_is_said_once_and_cleared_when_there_is_more(stage: Stage) -> None:
    await stage.start(warnings_every_s=0.05)
    project = await stage.project()
    await stage.until(lambda: [one["kind"] for one in shown(stage)] == ["supply"], "the alarm")
    assert stage.engine.parts.metrics.alarms.labels(kind="supply")._value.get() == 1
    await stage.leads(project, 3)
    await stage.until(lambda: not shown(stage), "the alarm cleared")
    kept = await alarms(stage.pool, project.id)
    assert len(kept) == 1
    assert kept[0].cleared_at is not None
    assert stage.engine.parts.metrics.alarms.labels(kind="supply")._value.get() == 0


async def test_rules_that_come_to_an_end_are_said_once_with_their_day_and_cleared_by_newer_ones(stage: Stage) -> None:
    await stage.start(warnings_every_s=0.05, projects_every_s=0.05)
    project = await stage.project()
    await stage.leads(project, 3)
    now = datetime.now(UTC)  # noqa: TID251 - the engine's clock
    ends = now.date() + timedelta(days=30)
    async with stage.pool.acquire() as conn:
        for version, until in (("1", f"effective_until = {ends}\n"), ("2", "")):
            await add_pack(conn, HEAD.replace('version = "1"', f'version = "{version}"') + until + RULE, now=now)
        await choose(conn, project.id, [PackRef(pack="mine", version="1")], now=now)
    await stage.until(lambda: [one["kind"] for one in shown(stage)] == ["rules"], "the alarm")
    assert {"pack": "mine@1", "ends": "pack", "day": ends.isoformat()}.items() <= shown(stage)[0]["detail"].items()
    assert stage.engine.parts.metrics.alarms.labels(kind="rules")._value.get() == 1
    async with stage.pool.acquire() as conn:
        await choose(conn, project.id, [PackRef(pack="mine", version="2")], now=now)
    await stage.until(lambda: not shown(stage), "the alarm cleared")
    [kept] = await alarms(stage.pool, project.id)
    assert kept.cleared_at is not None


def _attempt(channel_id: str) -> Any:
    from uuid import UUID

    return UUID(channel_id.removeprefix("call-"))

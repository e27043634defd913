"""Several projects on one floor: shared agents and trunks, guarantees, limits of numbers and of the node."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from campaigns import projects
from campaigns.caller_numbers import pool as caller_numbers
from campaigns.projects import Project
from dialer.db import nodes
from dialer.db.nodes import NodeLimits
from dialer.domain.commands import ReloadProject
from dialer.domain.states import AgentState
from tests.builders import NODE, NOON, a_trunk
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


def placed(stage: Stage) -> Counter[UUID]:
    return Counter(call.project_id for call in stage.engine.parts.floor.calls.values())


async def agents(stage: Stage, count: int, *of: Project) -> list[UUID]:
    """Seated and on a break; `all_ready` lets them begin together."""
    return [await stage.agent(*of, wanted="break") for _ in range(count)]


async def all_ready(stage: Stage, agent_ids: list[UUID]) -> None:
    for agent_id in agent_ids:
        stage.on_floor(agent_id).wanted = "ready"
        stage.engine.parts.agents.settle(stage.on_floor(agent_id))


async def why(stage: Stage, project: Project) -> str:
    return str(stage.engine.explain_project(project.id)["why"])


async def test_shared_agents_are_divided_by_weight_and_each_has_one_call(stage: Stage) -> None:
    await stage.start()
    big, small = await stage.project(share_weight=3), await stage.project()
    for project in (big, small):
        await stage.leads(project, 12)
    await all_ready(stage, await agents(stage, 8, big, small))
    await stage.call(8)
    assert placed(stage) == {big.id: 6, small.id: 2}
    ticks = stage.engine.parts.placing.paces.recent(big.id, 99)
    assert sum(pace.place for pace in ticks) == 6


async def test_project_without_leads_leaves_its_part_to_the_other(stage: Stage) -> None:
    await stage.start()
    empty, other = await stage.project(share_weight=9, share_priority=5, guaranteed_agents=2), await stage.project()
    await stage.leads(other, 4)
    await all_ready(stage, await agents(stage, 3, empty, other))
    await stage.call(3)
    assert placed(stage) == {other.id: 3}


async def test_trial_that_has_its_sample_leaves_its_part_to_the_other(stage: Stage) -> None:
    await stage.start()
    full, other = await stage.project(mode="trial", trial_size=1, share_priority=9), await stage.project()
    await stage.pool.execute("update projects set trial_taken = 1 where id = $1", full.id)
    for project in (full, other):
        await stage.leads(project, 4)
    await all_ready(stage, await agents(stage, 3, full, other))
    await stage.call(3)
    assert placed(stage) == {other.id: 3}
    assert stage.engine.explain_project(full.id)["why"] == "sample"


async def test_guaranteed_agents_come_before_priority(stage: Stage) -> None:
    await stage.start()
    first, guaranteed = await stage.project(share_priority=9), await stage.project(guaranteed_agents=1)
    for project in (first, guaranteed):
        await stage.leads(project, 5)
    await all_ready(stage, await agents(stage, 3, first, guaranteed))
    await stage.call(3)
    assert placed(stage) == {first.id: 2, guaranteed.id: 1}


async def test_waiting_customer_of_the_higher_priority_gets_the_agent_although_the_other_waits_longer(
    stage: Stage,
) -> None:
    await stage.start()
    usual: dict[str, Any] = {"mode": "ratio", "ratio": 2, "agent_wait_ms": 5000}
    low, high = await stage.project(**usual), await stage.project(share_priority=1, **usual)
    for project in (low, high):
        await stage.leads(project, 1)
    answering = stage.engine.parts.answering
    shared = await stage.agent(low, high, wanted="break")
    single = [await stage.agent(one) for one in (low, high)]
    await stage.call(2)
    calls = {call.project_id: call for call in stage.engine.parts.floor.calls.values()}
    for agent_id in single:
        stage.on_floor(agent_id).project_ids = frozenset()
    for project in (low, high):
        call = calls[project.id]
        stage.engine.parts.tasks.spawn(f"answer {project.id}", answering.answered(call.channel_id))
        await stage.until(lambda call=call: call.waiter is not None, "in the queue")
    await all_ready(stage, [shared])
    assert stage.on_floor(shared).attempt_id == calls[high.id].attempt_id


async def test_answered_call_takes_the_agent_whom_the_other_projects_calls_do_not_need(stage: Stage) -> None:
    await stage.start()
    mine, other = await stage.project(), await stage.project()
    for project in (mine, other):
        await stage.leads(project, 1)
    both = await stage.agent(mine, other, wanted="break")
    only = await stage.agent(mine, wanted="break")
    await all_ready(stage, [both, only])  # `both` waits longer
    await stage.call(2)
    calls = {call.project_id: call for call in stage.engine.parts.floor.calls.values()}
    await stage.until(lambda: stage.engine.parts.floor.needing == {mine.id, other.id}, "a look at both calls")
    await stage.asterisk.answer(calls[mine.id].attempt_id)
    assert stage.on_floor(only).attempt_id == calls[mine.id].attempt_id
    await stage.asterisk.answer(calls[other.id].attempt_id)
    await stage.until(lambda: stage.state(both) is AgentState.TALKING, "both are served")


async def test_channels_of_a_trunk_are_divided_between_its_projects(stage: Stage) -> None:
    await stage.start()
    trunk = await a_trunk(stage.pool, max_channels=4)
    both = [await stage.project(trunk=trunk) for _ in range(2)]
    ids = []
    for project in both:
        await stage.leads(project, 6)
        ids += await agents(stage, 4, project)
    await all_ready(stage, ids)
    await stage.call(4)
    assert placed(stage) == {project.id: 2 for project in both}

    def newest() -> dict[str, Any]:
        return dict(stage.engine.explain_pace(both[0].id)["recent"][-1])

    await stage.until(lambda: newest()["room_trunk_channels"] == 0, "a look at the full trunk")
    assert (newest()["limited_by"], newest()["ready"]) == ("trunk_channels", 4)


async def test_node_carries_no_more_calls_than_it_may_over_all_trunks(stage: Stage) -> None:
    await stage.start()
    await nodes.set_limits(stage.pool, NODE, NodeLimits(max_channels=3))
    both = [await stage.project() for _ in range(2)]
    ids = []
    for project in both:
        await stage.leads(project, 6)
        ids += await agents(stage, 3, project)
    await stage.until(lambda: stage.engine.parts.budgets.node.max_channels == 3, "the node's limit")
    await all_ready(stage, ids)
    await stage.call(3)
    await stage.until(lambda: stage.engine.explain_project(both[0].id)["why"] == "node", "the reason")
    assert placed(stage).total() == 3


async def test_hourly_limit_of_a_caller_number_holds_over_a_restart(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    [number] = project.caller_numbers
    await caller_numbers.set_limits(stage.pool, number.id, max_channels=None, max_cps=None, max_per_hour=2, now=NOON)
    await stage.engine.execute(ReloadProject(project_id=project.id))
    await stage.leads(project, 5)
    agent_ids = await agents(stage, 3, project)
    await all_ready(stage, agent_ids)
    await stage.call(2)
    await stage.until(lambda: stage.engine.explain_project(project.id)["why"] == "caller_number_limit", "the reason")
    for attempt_id in list(stage.engine.parts.floor.calls):
        stage.asterisk.hang_up(attempt_id)
        await stage.ended_row(attempt_id)
    await stage.die()
    await stage.start()
    await stage.until(lambda: stage.engine.explain_project(project.id)["why"] == "caller_number_limit", "the reason")
    assert len(stage.asterisk.sent_calls()) == 2


async def test_changed_weight_counts_at_the_next_tick(stage: Stage) -> None:
    await stage.start()
    first, second = await stage.project(), await stage.project()
    async with stage.pool.acquire() as conn:
        await projects.update_project(conn, second.id, share_weight=3)
    await stage.engine.execute(ReloadProject(project_id=second.id))
    for project in (first, second):
        await stage.leads(project, 8)
    await all_ready(stage, await agents(stage, 4, first, second))
    await stage.call(4)
    assert placed(stage) == {first.id: 1, second.id: 3}

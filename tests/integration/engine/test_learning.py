"""A predictive project learns from its calls, and a restart of the engine at noon is no cold start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns.projects import Project
from dialer.domain.commands import AgentBreak
from dialer.domain.pacing import Mode, Predictive
from dialer.domain.states import AgentState
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services, pytest.mark.faults]


def policy(stage: Stage, project: Project) -> Predictive:
    found = stage.engine.parts.policies.of(project.id, Mode.PREDICTIVE)
    assert isinstance(found, Predictive)
    return found


def learned(stage: Stage, project: Project) -> Any:
    return policy(stage, project).to_state()["knowledge"]


async def a_conversation(stage: Stage, agent_id: UUID) -> None:
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    stage.asterisk.hang_up(call.attempt_id)
    await stage.ended_row(call.attempt_id)


async def test_answers_failures_and_conversations_reach_the_policy(stage: Stage, monkeypatch: Any) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    seen: list[str] = []
    monkeypatch.setattr(Predictive, "observe", lambda _self, one: seen.append(one.seen.value))
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    await a_conversation(stage, agent_id)
    second = await stage.call()
    stage.asterisk.hang_up(second.attempt_id)
    await stage.ended_row(second.attempt_id)
    await stage.until(lambda: len(seen) == 4, "four observations")
    assert seen == ["answered", "talk_ended", "wrap_up_ended", "failed"]


async def test_restarted_engine_begins_with_what_was_learned(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    cold = learned(stage, project)
    await a_conversation(stage, agent_id)
    before = learned(stage, project)
    assert before != cold
    await stage.engines.pop().stop()
    await stage.start()
    assert learned(stage, project) == before


async def test_killed_engine_loses_no_more_than_was_learned_since_the_last_save(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    await a_conversation(stage, agent_id)
    before = learned(stage, project)
    await stage.engine._upkeep.save_learned()
    await stage.die()
    await stage.start()
    assert learned(stage, project) == before


async def test_what_was_learned_days_ago_weighs_less_and_what_cannot_be_read_is_a_cold_start(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    cold = learned(stage, project)
    await a_conversation(stage, agent_id)
    before = learned(stage, project)
    await stage.engines.pop().stop()
    await stage.pool.execute("update pacing_states set saved_at = saved_at - $1::interval", timedelta(days=3))
    await stage.start()
    assert learned(stage, project) not in (before, cold)
    await stage.engines.pop().stop()
    await stage.pool.execute('update pacing_states set state = \'{"of": "another version"}\'')
    await stage.start()
    assert learned(stage, project) == cold


async def test_an_answer_is_in_the_budget_while_it_is_talked_and_once_when_it_is_over(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()

    snapshots = stage.engine.parts.placing._snapshots

    def answered() -> int:
        return snapshots.take([project]).snapshots[project.id].answered

    await stage.until(lambda: snapshots.take([project]).snapshots[project.id].counted, "the counts of the day")
    assert answered() == 0
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert answered() == 1
    stage.asterisk.hang_up(call.attempt_id)
    await stage.ended_row(call.attempt_id)
    assert answered() == 1


async def test_who_goes_on_a_break_after_this_call_is_not_counted_on(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="predictive")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    snapshots = stage.engine.parts.placing._snapshots
    assert [state for state, _ in snapshots.take([project]).snapshots[project.id].agents] == [AgentState.TALKING]
    await stage.engine.execute(AgentBreak(agent_id=agent_id, reason="lunch"))
    assert [state for state, _ in snapshots.take([project]).snapshots[project.id].agents] == [AgentState.BREAK]

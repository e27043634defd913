"""Calls that are listened to before an agent is looked for: machines are hung up on, people wait from the end of their greeting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dialer.db.abandonment import budget_of_project
from dialer.domain.pacing import Decision, FlightState, Mode, Predictive, Snapshot
from dialer.domain.pacing.contract import Tally
from dialer.domain.states import AgentState
from dialer.engine.floor import Call
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services

MACHINE = ("/call/answered", "", "MACHINE", "MAXWORDS-5-4")
PERSON = ("/call/answered", "", "HUMAN", "HUMAN-800-800")


async def a_listened_to_call(stage: Stage) -> Call:
    """Up, and AMD is at work."""
    call = await stage.call()
    stage.asterisk.up(call.attempt_id)
    await stage.until(lambda: call.answered_at is not None, "the answer")
    return call


async def test_a_machine_is_hung_up_on_and_no_agent_hears_of_it(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(machine_detection="amd")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await a_listened_to_call(stage)
    assert await stage.asterisk.ask(call.attempt_id, *MACHINE) == {"WAIHU_ACTION": "hangup"}
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["abandoned"], row["agent_id"], row["greeted_at"]) == ("machine", False, None, None)
    assert stage.state(agent_id) is AgentState.READY
    lead = await stage.pool.fetchrow("select state, last_outcome from leads")
    assert dict(lead or {}) == {"state": "retry", "last_outcome": "machine"}
    budget = await budget_of_project(stage.pool, project, row["ended_at"])
    assert budget.tally == Tally(machines=1)


async def test_pacing_sees_who_is_listened_to_and_learns_the_share_and_the_delay(
    stage: Stage, monkeypatch: Any
) -> None:
    seen: list[Snapshot] = []
    told: list[str] = []
    decide = Predictive.decide

    def deciding(policy: Predictive, snapshot: Snapshot) -> Decision:
        seen.append(snapshot)
        return decide(policy, snapshot)

    monkeypatch.setattr(Predictive, "decide", deciding)
    monkeypatch.setattr(Predictive, "observe", lambda _self, one: told.append(one.seen.value))
    await stage.start()
    project = await stage.project(mode="predictive", machine_detection="amd")
    await stage.leads(project, 2)
    await stage.agent(project)
    first = await a_listened_to_call(stage)
    await stage.until(
        lambda: [state for _, state, _ in seen[-1].in_flight] == [FlightState.DETECTING], "a snapshot that shows it"
    )
    assert seen[-1].answered == 0
    assert seen[-1].in_flight[0][2] < 5, "its age counts from the answer"
    await stage.asterisk.ask(first.attempt_id, *MACHINE)
    stage.asterisk.hang_up(first.attempt_id)
    await stage.ended_row(first.attempt_id)
    second = await a_listened_to_call(stage)
    stage.asterisk.act(second.attempt_id, await stage.asterisk.ask(second.attempt_id, *PERSON))
    await stage.until(lambda: second.bridged_at is not None, "conversation")
    assert told == ["answered", "machine", "answered", "human"]
    assert stage.engine.parts.policies.of(project.id, Mode.PREDICTIVE) is not None


async def test_a_persons_wait_counts_from_the_end_of_the_greeting(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(machine_detection="amd", agent_wait_ms=5000)
    await stage.leads(project, 1)
    await stage.agent(project)
    call = await a_listened_to_call(stage)
    assert call.answered_at is not None
    call.answered_at -= timedelta(seconds=10)  # a long greeting
    call.answered_s -= 10
    stage.asterisk.act(call.attempt_id, await stage.asterisk.ask(call.attempt_id, *PERSON))
    await stage.until(lambda: call.bridged_at is not None, "conversation")
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert row["outcome"] == "connected"
    assert row["bridged_at"] - row["greeted_at"] < timedelta(seconds=2)
    waits = await stage.pool.fetch("select wait_ds from answered_calls")
    assert [8 <= row["wait_ds"] <= 20 for row in waits] == [True], "the silence after the greeting counts"
    budget = await budget_of_project(stage.pool, project, row["ended_at"])
    assert budget.tally == Tally(connected=1)
    assert stage.engine.parts.abandonment.of(project).abandoned == 0

"""Calls that are given up while they ring: too many for the agents, or the project is stopped now. An answer in that instant is served."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns.projects import Project
from dialer.domain.commands import PauseProject, StartProject
from dialer.domain.pacing import Decision, Limit, Predictive, Snapshot
from dialer.domain.states import AgentState, CallState
from dialer.engine.floor import Call
from tests.integration.engine.conftest import Stage
from tests.protocols.fake_asterisk import Headers

pytestmark = pytest.mark.services


async def ringing(stage: Stage, count: int = 1, **settings: Any) -> tuple[Project, list[Call]]:
    """A project with `count` calls that ring, for as many agents."""
    await stage.start(audit_every_s=60)  # nobody but events and questions tells of an answer
    project = await stage.project(**settings)
    await stage.leads(project, count)
    for _ in range(count):
        await stage.agent(project)
    await stage.call(count)
    calls = list(stage.engine.parts.floor.calls.values())
    for call in calls:
        stage.asterisk.ring(call.attempt_id)
    await stage.until(lambda: all(call.state is CallState.RINGING for call in calls), "ringing")
    return project, calls


def cancels(monkeypatch: pytest.MonkeyPatch, wanted: set[UUID]) -> list[Snapshot]:
    """The predictive policy wants these given up at each tick; gives the snapshots it saw."""
    seen: list[Snapshot] = []

    def decide(_self: Predictive, snapshot: Snapshot) -> Decision:
        seen.append(snapshot)
        under_way = {attempt_id for attempt_id, _, _ in snapshot.in_flight}
        place = 0 if under_way or wanted else 1
        return Decision(place=place, limited_by=Limit.AGENTS, cancel=tuple(wanted & under_way))

    monkeypatch.setattr(Predictive, "decide", decide)
    return seen


async def lead_of(stage: Stage, call: Call) -> Any:
    return await stage.pool.fetchrow("select * from leads where id = $1", call.lead_id)


async def test_call_too_many_is_given_up_once_it_has_rung_long_enough(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: set[UUID] = set()
    seen = cancels(monkeypatch, wanted)
    project, [call] = await ringing(stage, mode="predictive", cancel_after_s=15)
    assert seen[-1].cancel_after_s == 15
    wanted.add(call.attempt_id)
    ticks = len(seen)
    await stage.until(lambda: len(seen) > ticks + 3, "some ticks more")
    assert call.state is CallState.RINGING
    call.ringing_s -= 15
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["abandoned"]) == ("canceled", False)
    lead = await lead_of(stage, call)
    assert (lead["state"], lead["attempts"]) == ("retry", 0)
    assert lead["next_at"] == row["ended_at"] + timedelta(minutes=30)
    account = stage.engine.parts.abandonment.of(project)
    assert (account.answered, account.abandoned) == (0, 0)
    assert stage.engine.parts.budgets._uses[call.caller_number] == 0


async def test_project_that_may_not_give_up_calls_lets_them_ring(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: set[UUID] = set()
    seen = cancels(monkeypatch, wanted)
    _, [call] = await ringing(stage, mode="predictive")
    call.ringing_s -= 60
    wanted.add(call.attempt_id)
    ticks = len(seen)
    await stage.until(lambda: len(seen) > ticks + 3, "some ticks more")
    assert seen[-1].cancel_after_s is None
    assert call.state is CallState.RINGING


async def test_stop_now_hangs_up_what_rings_and_lets_the_conversation_go_on(stage: Stage) -> None:
    project, [first, second] = await ringing(stage, 2)
    await stage.asterisk.answer(first.attempt_id)
    await stage.until(lambda: first.state is CallState.BRIDGED, "conversation")
    done = await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    assert done.state == "paused"
    assert (await stage.ended_row(second.attempt_id))["outcome"] == "canceled"
    assert first.state is CallState.BRIDGED
    lead = await lead_of(stage, second)
    assert (lead["state"], lead["attempts"]) == ("retry", 0)


async def test_pause_lets_what_rings_be_answered_and_served(stage: Stage) -> None:
    project, [call] = await ringing(stage)
    await stage.leads(project, 1)
    await stage.engine.execute(PauseProject(project_id=project.id))
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    stage.asterisk.hang_up(call.attempt_id)
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "connected"
    assert len(stage.asterisk.sent_calls()) == 1


async def test_answer_in_the_instant_of_giving_up_is_served(stage: Stage) -> None:
    """Asterisk had the answer before it had the limit: the channel is led back, the dialplan asks again, and gets the same agent."""
    project, [call] = await ringing(stage)
    stage.asterisk.channels[call.channel_id].state = "Up"  # nobody has heard of it yet
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    first = await stage.asterisk.ask(call.attempt_id)
    told = await stage.asterisk.answer(call.attempt_id)
    assert told == first
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    stage.asterisk.hang_up(call.attempt_id)
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "connected"


async def test_answer_is_not_told_before_asterisk_has_taken_the_limit(stage: Stage) -> None:
    """Otherwise the limit could come when they talk."""
    project, [call] = await ringing(stage)
    stage.asterisk.channels[call.channel_id].state = "Up"
    stage.asterisk.script.fates["AbsoluteTimeout"] = ["silent"]
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    asked = asyncio.get_running_loop().create_task(stage.asterisk.ask(call.attempt_id))
    await stage.until(lambda: call.answered_at is not None, "the answer")
    assert call.giving_up is not None
    assert not call.giving_up.done()
    assert not asked.done()
    assert (await asked)["WAIHU_ACTION"] == "bridge"


async def test_answer_heard_before_asterisk_was_asked_is_not_disturbed(stage: Stage) -> None:
    project, [call] = await ringing(stage)
    stage.asterisk.script.fates["Setvar"] = ["refused"]
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    assert call.giving_up is not None
    await stage.until(call.giving_up.done, "the end of giving up")
    assert not call.canceled
    assert "AbsoluteTimeout" not in stage.asterisk.fake.actions


@pytest.mark.parametrize(
    "answers_after_s", [0.2, 0.7]
)  # before the answer for the dialplan is told without it, and after
async def test_conversation_is_not_limited_by_a_giving_up_that_asterisk_answers_late(
    stage: Stage, answers_after_s: float
) -> None:
    stage.config = replace(stage.config, action_deadline_s=5)
    project, [call] = await ringing(stage)
    marks: list[str] = []

    def late(headers: Headers) -> None:
        marks.append(headers["value"][0])
        loop = asyncio.get_running_loop()
        wait_s = answers_after_s if marks == ["1"] else 0
        loop.call_later(wait_s, stage.asterisk._respond, headers, "Success", ("Message", "Variable Set"))

    stage.asterisk._do_setvar = late  # type: ignore[method-assign]
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    await stage.until(lambda: bool(marks), "the mark")
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    assert call.giving_up is not None
    await stage.until(call.giving_up.done, "the end of giving up")
    assert not call.canceled
    assert "AbsoluteTimeout" not in stage.asterisk.fake.actions
    assert marks == ["1", "0"]


async def test_customer_whom_a_late_limit_leads_out_of_the_conversation_is_led_back_into_it(stage: Stage) -> None:
    _, [call] = await ringing(stage)
    first = await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    stage.asterisk.unbridge(call.attempt_id)
    told = await stage.asterisk.answer(call.attempt_id)
    assert told == first
    assert (stage.state(call.agent_id or UUID(int=0)), call.state) == (AgentState.TALKING, CallState.BRIDGED)


async def test_customer_who_waits_when_the_dialplan_asks_again_keeps_the_place(stage: Stage) -> None:
    project, [first, second] = await ringing(stage, 2, agent_wait_ms=3000)
    agents = list(stage.engine.parts.floor.agents.values())
    await stage.asterisk.answer(first.attempt_id)
    await stage.until(lambda: first.state is CallState.BRIDGED, "conversation")
    [idle] = [agent for agent in agents if agent.state is AgentState.READY]
    stage.asterisk.vanish(idle.seat.channel_id if idle.seat else "")
    stage.asterisk.seats_answer = False
    await stage.until(lambda: not idle.seated, "a lost seat")
    stage.asterisk.channels[second.channel_id].state = "Up"
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    lost = asyncio.get_running_loop().create_task(stage.asterisk.ask(second.attempt_id))
    await stage.until(lambda: second.waiter is not None, "in the queue")
    again = asyncio.get_running_loop().create_task(stage.asterisk.answer(second.attempt_id))
    await stage.until(lambda: second.questions == 2 and second.waiter is not None, "in the queue again")
    stage.asterisk.hang_up(first.attempt_id)
    assert (await again)["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: second.state is CallState.BRIDGED, "conversation")
    assert (await lost)["WAIHU_ACTION"] == "hangup"


async def test_call_given_up_before_it_is_on_the_wire_is_never_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    parts = stage.engine.parts
    begin = parts.sending.begin

    def begin_and_give_up(*given: Any) -> Call:
        call = begin(*given)
        parts.placing._giving_up.begin(call)
        return call

    monkeypatch.setattr(parts.sending, "begin", begin_and_give_up)
    await stage.agent(project)

    async def given_back() -> bool:
        return bool(await stage.pool.fetchval("select count(*) from attempts where outcome = 'not_sent'"))

    await stage.until(given_back, "an attempt that was not sent")
    assert stage.asterisk.sent_calls() == []


async def test_call_that_was_claimed_while_the_project_was_paused_is_not_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    parts = stage.engine.parts
    begin = parts.sending.begin

    def begin_paused(*given: Any) -> Call:
        parts.projects._projects.pop(project.id)
        return begin(*given)

    monkeypatch.setattr(parts.sending, "begin", begin_paused)
    await stage.agent(project)

    async def given_back() -> bool:
        return bool(await stage.pool.fetchval("select count(*) from attempts where outcome = 'not_sent'"))

    await stage.until(given_back, "an attempt that was not sent")
    assert stage.asterisk.sent_calls() == []


async def test_stopped_project_can_be_started_again(stage: Stage) -> None:
    project, [call] = await ringing(stage)
    await stage.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    await stage.ended_row(call.attempt_id)
    await stage.leads(project, 1)
    await stage.engine.execute(StartProject(project_id=project.id))
    assert (await stage.call()).attempt_id != call.attempt_id

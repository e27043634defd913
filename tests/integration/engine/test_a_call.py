"""One call through an engine, a real PostgreSQL and a scripted Asterisk: from claim to wrap-up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dialer.domain.commands import Hold
from dialer.domain.errors import Conflict
from dialer.domain.states import AgentState, CallState
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def test_ready_agent_gets_a_call_that_was_committed_before_it_was_sent(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    assert await stage.row(call.attempt_id) is not None
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert call.state is CallState.BRIDGED
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"], row["abandoned"]) == ("connected", agent_id, False)
    assert row["created_at"] <= row["sent_at"] <= row["answered_at"] <= row["bridged_at"] <= row["ended_at"]
    await stage.until(lambda: call.attempt_id in stage.ended, "word of the end")


@pytest.mark.parametrize("by", ["event", "dialplan"])
async def test_news_that_comes_late_is_written_down_with_the_time_asterisk_gives_it(stage: Stage, by: str) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=2)
    await stage.leads(project, 1)
    await stage.agent(project)
    call = await stage.call()
    await stage.until(lambda: call.sent_at is not None, "the call on the wire")
    assert call.sent_at is not None
    happened = call.sent_at + timedelta(milliseconds=1)
    if by == "event":
        stage.asterisk.dated = happened.timestamp()
        stage.asterisk.up(call.attempt_id)
    else:
        await stage.asterisk.ask(call.attempt_id, "/call/answered", f"{happened.timestamp():.6f}")
    await stage.until(lambda: call.answered_at is not None, "word of the answer")
    assert call.answered_at is not None
    assert abs(call.answered_at - happened) < timedelta(microseconds=10)


async def test_progressive_places_no_more_calls_than_agents_are_ready(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 20)
    for _ in range(3):
        await stage.agent(project)
    await stage.call(3)
    await asyncio.sleep(0.3)
    assert len(stage.asterisk.calls) == 3


async def test_answered_call_without_agent_gets_safe_harbour_after_the_limit_and_is_counted(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=2)
    await stage.leads(project, 2)
    await stage.agent(project)
    first, second = (await stage.call(1)), (await stage.call(2))
    await stage.asterisk.answer(first.attempt_id)
    began = asyncio.get_running_loop().time()
    told = await stage.asterisk.answer(second.attempt_id)
    waited = asyncio.get_running_loop().time() - began
    assert told == {"WAIHU_ACTION": "safe_harbour"}
    assert 0.25 < waited < 1.0
    stage.asterisk.hang_up(second.attempt_id)
    row = await stage.ended_row(second.attempt_id)
    assert (row["outcome"], row["abandoned"]) == ("abandoned", True)


async def test_waiting_customer_gets_the_agent_who_becomes_free_within_the_limit(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=2, agent_wait_ms=5000)
    await stage.leads(project, 2)
    agent_id = await stage.agent(project)
    first, second = (await stage.call(1)), (await stage.call(2))
    await stage.asterisk.answer(first.attempt_id)
    waiting = asyncio.get_running_loop().create_task(stage.asterisk.answer(second.attempt_id))
    await stage.until(lambda: second.waiter is not None, "customer in the queue")
    await asyncio.sleep(0.3)  # so long the customer waits for an agent
    stage.asterisk.hang_up(first.attempt_id)
    told = await waiting
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.on_floor(agent_id).attempt_id == second.attempt_id, "second call")
    await stage.until(lambda: second.state is CallState.BRIDGED, "second conversation")
    measured = stage.engine.parts.metrics.registry.get_sample_value
    of_customer, of_system = (measured(f"waihu_{name}_to_bridge_seconds_sum") or 0 for name in ("answer", "agent"))
    assert measured("waihu_agent_to_bridge_seconds_count") == 2
    assert of_system < of_customer - 0.3


async def test_customer_who_leaves_while_waiting_is_early_and_not_abandoned(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="ratio", ratio=2, agent_wait_ms=5000)
    await stage.leads(project, 2)
    await stage.agent(project)
    first, second = (await stage.call(1)), (await stage.call(2))
    await stage.asterisk.answer(first.attempt_id)
    waiting = asyncio.get_running_loop().create_task(stage.asterisk.answer(second.attempt_id))
    await stage.until(lambda: second.waiter is not None, "customer in the queue")
    stage.asterisk.hang_up(second.attempt_id)
    row = await stage.ended_row(second.attempt_id)
    assert (row["outcome"], row["abandoned"]) == ("hung_up_early", False)
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize(
    ("cause", "sip", "rings", "outcome"),
    [
        (17, "486", True, "busy"),
        (19, "480", True, "no_answer"),
        (19, "480", False, "unreachable"),
        (21, "403", False, "rejected"),
        (1, "404", False, "vacant"),
        (34, "503", False, "congestion"),
        (28, "484", False, "invalid_number"),
        (21, "401", False, "failed"),
    ],
)
async def test_unanswered_end_is_recorded_with_its_outcome_and_frees_the_agent_for_the_next(
    stage: Stage, cause: int, sip: str, rings: bool, outcome: str
) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 2)
    await stage.agent(project)
    call = await stage.call()
    if rings:
        stage.asterisk.ring(call.attempt_id)
    stage.asterisk.refuse(call.attempt_id, cause, sip)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["hangup_cause"]) == (outcome, cause)
    second = await stage.call()
    assert second.attempt_id != call.attempt_id


async def test_refusal_without_any_channel_ends_as_failed(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    await stage.agent(project)
    stage.asterisk.script.fates["Originate"] = []
    call = await stage.call()
    channel = stage.asterisk.channels.pop(call.channel_id)
    stage.asterisk.fake.broadcast(
        "OriginateResponse",
        [("ActionID", channel.channel_id), ("Response", "Failure"), ("Reason", "0"), ("Uniqueid", "<null>")],
    )
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "failed"


async def test_doubled_and_reordered_events_change_nothing(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: call.state is CallState.BRIDGED, "bridge")
    stage.asterisk.ring(call.attempt_id)
    stage.asterisk.up(call.attempt_id)
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)


async def test_agent_hanging_up_in_a_conversation_ends_the_call_and_is_seated_again(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    seat = stage.asterisk.seats[0]
    stage.asterisk.vanish(seat.channel_id, 16)
    told = await stage.asterisk.ask(call.attempt_id, "/call/redirected")
    assert told == {"WAIHU_ACTION": "hangup"}
    stage.asterisk.hang_up(call.attempt_id)
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "connected"
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "the agent seated again")


async def test_customer_of_a_vanished_softphone_gets_another_agent(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(agent_wait_ms=2000)
    await stage.leads(project, 1)
    first_agent = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(first_agent) is AgentState.TALKING, "conversation")
    stage.asterisk.seats_answer = False
    stage.asterisk.vanish(stage.asterisk.seats[0].channel_id, 44)
    stage.asterisk.seats_answer = True
    other = await stage.agent(project)
    told = await stage.asterisk.ask(call.attempt_id, "/call/redirected")
    assert told["WAIHU_ACTION"] == "bridge"
    stage.asterisk.act(call.attempt_id, told)
    await stage.until(lambda: stage.state(other) is AgentState.TALKING, "second agent talks")
    assert call.agent_id == other


async def test_hold_is_asked_again_while_asterisk_still_moves_the_channel_and_refused_when_it_goes_on(
    stage: Stage,
) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    stage.asterisk.script.fates["Redirect"] = ["refused"] * 3
    with pytest.raises(Conflict) as refusal:
        await stage.engine.execute(Hold(agent_id=agent_id))
    assert (refusal.value.error_id, call.state) == ("asterisk_refused", CallState.BRIDGED)
    stage.asterisk.script.fates["Redirect"] = ["refused"] * 2
    await stage.engine.execute(Hold(agent_id=agent_id))
    assert call.state is CallState.HELD

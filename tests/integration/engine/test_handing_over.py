"""Customers who go from hand to hand (hold, transfer, a lost answer): who talks with them is known, and who has not heard them is not booked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from dialer.domain.commands import HangUp, Hold, Resume, Transfer
from dialer.domain.errors import Conflict, Unavailable
from dialer.domain.states import AgentState, CallState
from dialer.engine.floor import Call
from tests.integration.engine.conftest import Stage
from tests.protocols.fake_asterisk import Headers

pytestmark = [pytest.mark.services, pytest.mark.faults]


async def a_conversation(stage: Stage, *, others: int = 1, **settings: Any) -> tuple[Call, UUID, list[UUID]]:
    """A call, the agent who talks, and others who are ready."""
    if not stage.engines:
        await stage.start()
    project = await stage.project(wrap_up_limit_s=30, **settings)
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    await stage.asterisk.answer(call.attempt_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    return call, agent_id, [await stage.agent(project) for _ in range(others)]


async def test_customer_who_leaves_during_a_transfer_is_booked_to_the_agent_who_talked(stage: Stage) -> None:
    call, first, [second] = await a_conversation(stage)

    def too_late(headers: Headers) -> None:
        stage.asterisk.hang_up(call.attempt_id)
        stage.asterisk._respond(headers, "Error", ("Message", "Channel does not exist"))

    stage.asterisk._do_redirect = too_late  # type: ignore[method-assign]
    with pytest.raises(Conflict):
        await stage.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", first)
    assert row["device_id"] == stage.on_floor(first).device_id
    assert (stage.state(first), stage.state(second)) == (AgentState.WRAP_UP, AgentState.READY)


@pytest.mark.parametrize("asked", [False, True])
async def test_customer_who_leaves_between_transfer_and_bridge_is_booked_to_the_agent_who_talked(
    stage: Stage, asked: bool
) -> None:
    call, first, [second] = await a_conversation(stage)
    await stage.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    if asked:
        assert (await stage.asterisk.ask(call.attempt_id, "/call/redirected"))["WAIHU_ACTION"] == "bridge"
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["agent_id"]) == ("connected", first)
    await stage.until(lambda: stage.state(second) is AgentState.READY, "the other agent ready")
    assert stage.state(first) is AgentState.WRAP_UP


async def test_transferred_customer_is_booked_to_the_agent_who_talked_last(stage: Stage) -> None:
    call, first, [second] = await a_conversation(stage)
    await stage.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    stage.asterisk.act(call.attempt_id, await stage.asterisk.ask(call.attempt_id, "/call/redirected"))
    await stage.until(lambda: stage.state(second) is AgentState.TALKING, "the other conversation")
    stage.asterisk.hang_up(call.attempt_id)
    assert (await stage.ended_row(call.attempt_id))["agent_id"] == second
    assert (stage.state(first), stage.state(second)) == (AgentState.WRAP_UP, AgentState.WRAP_UP)


async def test_transfer_that_was_done_and_whose_answer_is_lost_reaches_the_other_agent(stage: Stage) -> None:
    call, first, [second] = await a_conversation(stage)
    redirect = stage.asterisk._do_redirect

    def unanswered(headers: Headers) -> None:
        stage.asterisk._quiet = True
        redirect(headers)
        stage.asterisk._quiet = False

    stage.asterisk._do_redirect = unanswered  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await stage.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    told = await stage.asterisk.ask(call.attempt_id, "/call/redirected")
    assert told["WAIHU_ACTION"] == "bridge"
    stage.asterisk.act(call.attempt_id, told)
    await stage.until(lambda: stage.state(second) is AgentState.TALKING, "the other conversation")
    assert (stage.state(first), call.agent_id, call.state) == (AgentState.WRAP_UP, second, CallState.BRIDGED)


@pytest.mark.parametrize("held", [False, True])
async def test_transfer_that_asterisk_never_heard_of_leaves_the_customer_with_their_agent(
    stage: Stage, held: bool
) -> None:
    call, first, [second] = await a_conversation(stage)
    if held:
        await stage.engine.execute(Hold(agent_id=first))
    stage.asterisk.script.fates["Redirect"] = ["silent"]
    with pytest.raises(Unavailable):
        await stage.engine.execute(Transfer(agent_id=first, to_agent_id=second))
    await stage.until(lambda: stage.state(second) is AgentState.READY, "the other agent free again")
    assert (stage.state(first), call.agent_id) == (AgentState.TALKING, first)
    assert call.state is (CallState.HELD if held else CallState.BRIDGED)
    await stage.engine.execute(HangUp(agent_id=first))
    assert (await stage.ended_row(call.attempt_id))["agent_id"] == first
    await stage.until(lambda: stage.state(first) is AgentState.WRAP_UP, "wrap-up")


async def test_agent_whose_softphone_vanishes_on_the_way_back_from_hold_has_nothing_to_do_with_the_next_conversation(
    stage: Stage,
) -> None:
    call, first, [second] = await a_conversation(stage)
    await stage.engine.execute(Hold(agent_id=first))
    await stage.engine.execute(Resume(agent_id=first))
    seat = stage.on_floor(first).seat
    assert seat is not None
    stage.asterisk.vanish(seat.channel_id, 44)
    await stage.until(lambda: stage.on_floor(first).seat is None, "a lost seat")
    told = await stage.asterisk.ask(call.attempt_id, "/call/redirected")
    assert stage.state(first) is AgentState.WRAP_UP
    stage.asterisk.act(call.attempt_id, told)
    await stage.until(lambda: stage.state(second) is AgentState.TALKING, "the other conversation")
    with pytest.raises(Conflict) as refusal:
        await stage.engine.execute(HangUp(agent_id=first))
    assert refusal.value.error_id == "no_call"
    assert (call.agent_id, call.state) == (second, CallState.BRIDGED)


async def test_agent_who_is_believed_to_have_a_call_of_another_cannot_hang_it_up_and_is_freed(stage: Stage) -> None:
    call, _, [other] = await a_conversation(stage)
    agent = stage.on_floor(other)
    agent.state, agent.attempt_id, agent.project_id = AgentState.TALKING, call.attempt_id, call.project_id
    with pytest.raises(Conflict) as refusal:
        await stage.engine.execute(HangUp(agent_id=other))
    assert refusal.value.error_id == "no_call"
    await stage.until(lambda: stage.state(other) is AgentState.WRAP_UP, "the agent freed")
    assert call.state is CallState.BRIDGED


async def an_answer_without_a_reply(stage: Stage, call: Call) -> dict[str, str]:
    """The dialplan acts on what it is told, and its reply to that does not come in time."""
    channel = stage.asterisk.channels[call.channel_id]
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.asterisk.agi_port)
    lines = {
        "agi_network": "yes",
        "agi_network_script": "call/answered",
        "agi_request": "agi://127.0.0.1/call/answered",
        "agi_channel": channel.name,
        "agi_uniqueid": channel.channel_id,
    }
    writer.write("".join(f"{key}: {value}\n" for key, value in lines.items()).encode() + b"\n")
    told = dict(pair.split("=", 1) for pair in (await reader.readline()).decode().split('"')[3].split(","))
    await reader.read()  # until the engine waits no more
    writer.close()
    return told


async def test_agent_talks_although_the_reply_to_the_answer_for_the_dialplan_was_lost(stage: Stage) -> None:
    await stage.start()
    stage.engine._agi.config = replace(stage.engine._agi.config, command_deadline_s=0.1)
    project = await stage.project(wrap_up_limit_s=30)
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.up(call.attempt_id)
    told = await an_answer_without_a_reply(stage, call)
    assert stage.state(agent_id) is AgentState.RESERVED
    stage.asterisk.act(call.attempt_id, told)
    await stage.until(lambda: call.state is CallState.BRIDGED, "conversation")
    assert stage.state(agent_id) is AgentState.TALKING
    stage.asterisk.hang_up(call.attempt_id)
    assert (await stage.ended_row(call.attempt_id))["agent_id"] == agent_id
    await stage.until(lambda: stage.state(agent_id) is AgentState.WRAP_UP, "wrap-up")


async def test_agent_is_free_after_a_call_that_did_not_hear_the_answer_for_the_dialplan(stage: Stage) -> None:
    await stage.start()
    stage.engine._agi.config = replace(stage.engine._agi.config, command_deadline_s=0.1)
    project = await stage.project()
    await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    call = await stage.call()
    stage.asterisk.up(call.attempt_id)
    await an_answer_without_a_reply(stage, call)
    stage.asterisk.say_result(call.attempt_id, "safe_harbour_played")
    stage.asterisk.hang_up(call.attempt_id)
    row = await stage.ended_row(call.attempt_id)
    assert (row["outcome"], row["abandoned"]) == ("abandoned", True)
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "the agent free")


def forget(stage: Stage, agent_id: UUID) -> None:
    """The agent is believed idle, though in a conversation."""
    agent = stage.on_floor(agent_id)
    agent.state, agent.attempt_id, agent.project_id, agent.since_s = AgentState.READY, None, None, agent.since_s - 10


async def test_agent_who_was_believed_idle_in_a_conversation_is_found_talking(stage: Stage) -> None:
    call, first, _ = await a_conversation(stage, others=0)
    forget(stage, first)
    await stage.until(lambda: stage.state(first) is AgentState.TALKING, "the agent found")
    assert stage.on_floor(first).attempt_id == call.attempt_id


async def test_seat_in_a_conversation_is_not_hung_up_when_the_next_customer_cannot_be_bridged_to_it(
    stage: Stage,
) -> None:
    await stage.start(audit_every_s=60)
    call, first, _ = await a_conversation(stage, others=0)
    [project] = stage.engine.parts.projects.dialled_here()
    await stage.leads(project, 1)
    forget(stage, first)
    stage.engine.parts.placing.new_list(project.id)
    second = await stage.call(2)
    stage.asterisk.up(second.attempt_id)
    assert (await stage.asterisk.ask(second.attempt_id))["WAIHU_ACTION"] == "bridge"
    told = await stage.asterisk.ask(second.attempt_id, "/call/redirected")  # the seat has a peer
    assert told["WAIHU_ACTION"] == "safe_harbour"
    assert (stage.state(first), stage.on_floor(first).attempt_id) == (AgentState.TALKING, call.attempt_id)
    assert len(stage.asterisk.seats) == 1
    assert call.state is CallState.BRIDGED

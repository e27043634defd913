"""Giving up calls that ring, on the real Asterisk: what rings ends, what is answered in that instant is served."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from dialer.asterisk.ami import actions
from dialer.domain.commands import AgentReady, PauseProject
from dialer.domain.states import AgentState, CallState
from dialer.engine.floor import Call
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_stop_now_hangs_up_what_rings_and_leaves_the_conversation_alone(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(ring_timeout_s=30)
    talker = await floor.agent(project)
    await floor.lead(project, ring=0, talk=9)
    talked = await floor.talking(talker)
    await floor.lead(project, Behaviour.NO_ANSWER)
    await floor.agent(project)
    calls = floor.engine.parts.floor.calls
    await floor.until(lambda: any(call.state is CallState.RINGING for call in calls.values()), "ringing", 15)
    await floor.engine.execute(PauseProject(project_id=project.id, hang_up_ringing=True))
    rows = await floor.ended(1)
    assert [(row["outcome"], row["answered_at"]) for row in rows if row["state"] == "ended"] == [("canceled", None)]
    assert talked.state is CallState.BRIDGED
    await floor.until(lambda: len(calls) == 1, "the conversation alone")


async def test_answered_customer_who_is_given_up_in_that_instant_gets_the_agent_who_comes(
    floor: Floor,
) -> None:
    """As Asterisk sees the worst moment: the limit comes while the dialplan has the question open."""
    engine = await floor.start()
    project = await floor.project(mode="ratio", agent_wait_ms=8000)
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=1, talk=1)
    await floor.until(lambda: len(engine.parts.floor.calls) == 1, "a call", 15)
    [call] = engine.parts.floor.calls.values()
    floor.on_floor(agent_id).project_ids = frozenset()  # nobody for the answer yet
    await floor.until(lambda: call.waiter is not None, "in the queue", 15)
    await engine.parts.ami.send(actions.set_variable(call.channel_id, "WAIHU_GIVING_UP", "1"))
    await engine.parts.ami.send(actions.absolute_timeout(call.channel_id, 0.001))
    await floor.until(lambda: call.questions == 2, "the question again", 5)
    floor.on_floor(agent_id).project_ids = frozenset({project.id})
    await engine.execute(AgentReady(agent_id=agent_id))
    engine.parts.answering.offer(floor.on_floor(agent_id))
    assert await floor.talking(agent_id) is call
    [row] = await floor.ended(1)
    assert row["outcome"] == "connected"
    await floor.becomes(agent_id, AgentState.READY)


async def test_every_call_given_up_as_it_is_answered_is_canceled_or_served(floor: Floor) -> None:
    engine = await floor.start()
    project = await floor.project(agent_wait_ms=3000)
    for _ in range(6):
        await floor.agent(project)
    rang_for: list[float] = []
    began: dict[Call, float] = {}

    def answered(call: Call) -> None:
        rang_for.append(engine.parts.calls._clock.monotonic() - call.ringing_s)

    engine.parts.calls.on_answered.append(answered)
    await floor.lead(project, ring=1, talk=0)
    await floor.ended(1)
    usual = rang_for[0]

    def placed(call: Call) -> None:
        if call.state is CallState.RINGING and call not in began:
            began[call] = delay = usual + (len(began) % 12 - 6) * 0.002
            asyncio.get_running_loop().call_later(delay, engine.parts.placing._giving_up.begin, call)

    publish = engine.parts.publishing.call

    def published(call: Call) -> None:
        placed(call)
        publish(call)

    engine.parts.publishing.call = published  # type: ignore[method-assign]
    for _ in range(48):
        await floor.lead(project, ring=1, talk=0)
    rows = await floor.ended(49, timeout_s=60)
    outcomes = Counter(row["outcome"] for row in rows)
    assert set(outcomes) == {"canceled", "connected"}

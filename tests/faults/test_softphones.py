"""Softphones that misbehave, seen from the floor: the agent's state is true, nobody is promised to a dead line, nothing is called in a storm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from dialer.asterisk.ami.client import AmiConfig, ami_session
from dialer.asterisk.provisioning import DeviceConfig, ha1, new_secret, put_device, remove_device
from dialer.domain.commands import AgentLogin
from dialer.domain.states import AgentState, CallState
from lab.sip_client import SipClient
from tests.builders import an_agent
from tests.system.engine.conftest import Floor

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

ODD = "odd-phone"


@asynccontextmanager
async def an_odd_phone(floor: Floor) -> AsyncIterator[SipClient]:
    """A scripted SIP user agent, registered, on the floor's first device."""
    node, secret = floor.node, new_secret()
    await floor.pool.execute(
        "update devices set username = $2, digest = $3 where id = $1", floor.devices[0], ODD, ha1(ODD, secret)
    )
    config = AmiConfig(host=node.ami_host, port=node.ami_port, user=node.ami_user, secret=node.ami_secret)
    async with ami_session(config) as ami:
        await put_device(ami, DeviceConfig(username=ODD, digest=ha1(ODD, secret)))
        async with SipClient(ODD, secret, (node.sip_host, node.sip_port)) as phone:
            assert await phone.register() == 200
            try:
                yield phone
            finally:
                await phone.register(expires_s=0)
                await remove_device(ami, ODD)


def invitations(phone: SipClient) -> set[str]:
    """The calls that reached it; a repeated INVITE is the same call."""
    return {message.headers["call-id"] for message in phone.received if message.method == "INVITE"}


async def seats_in_asterisk(floor: Floor) -> int:
    return (await floor.node.console("core show channels concise")).count("!waihu-seat!")


async def test_softphone_that_vanishes_while_idle_gets_no_call_and_is_seated_again_when_it_is_back(
    floor: Floor,
) -> None:
    await floor.start(seat_ring_s=1.0, seat_tries=50)
    project = await floor.project()
    agent_id = await floor.agent(project)
    username = floor.phone(agent_id).username
    await floor.telephony.bank.vanish(username)
    try:
        await floor.becomes(agent_id, AgentState.SEATING, 15)
        await floor.lead(project, ring=0, talk=0)
        await floor.until(
            lambda: floor.on_floor(agent_id).seat_failures >= 2, "more than one try to call the softphone", 15
        )
        assert await floor.attempts() == []
        assert floor.engine.explain_project(project.id)["dialling"] is False
    finally:
        await floor.telephony.bank.come_back(username)
    [row] = await floor.ended(1, timeout_s=30)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    assert await seats_in_asterisk(floor) == 1


async def test_softphone_that_vanishes_in_conversation_with_nobody_else_there_leads_to_the_safe_harbour(
    floor: Floor,
) -> None:
    await floor.start(seat_ring_s=1.0)
    project = await floor.project(agent_wait_ms=500)
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=0)
    call = await floor.talking(agent_id)
    username = floor.phone(agent_id).username
    await floor.telephony.bank.vanish(username)
    try:
        [row] = await floor.ended(1, timeout_s=30)
    finally:
        await floor.telephony.bank.come_back(username)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    assert call.waited_out  # the message was played
    assert row["hangup_cause"] == 16


async def test_no_lead_is_dialled_for_a_softphone_that_has_not_answered_yet(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project, wanted="break")
    phone = floor.phone(agent_id)
    phone.answer_after_s = 2.0
    await floor.lead(project, ring=0, talk=0)
    await phone.hang_up()
    await floor.becomes(agent_id, AgentState.SEATING)
    await phone.wait_ringing()
    assert await floor.attempts() == []
    floor.on_floor(agent_id).wanted = "ready"
    [row] = await floor.ended(1, timeout_s=30)
    assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
    assert phone.calls_seen >= 2


async def test_softphone_that_answers_twice_has_one_seat_and_one_customer(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    async with an_odd_phone(floor) as phone:
        phone.answer_invites_with = [200, 200]
        agent_id = await floor.agent(project)
        assert await seats_in_asterisk(floor) == 1
        await floor.lead(project, ring=0)
        call = await floor.talking(agent_id)
        assert call.state is CallState.BRIDGED
        assert (await floor.node.console("core show channels concise")).count("!Bridge!") == 1
        assert len(invitations(phone)) == 1


@pytest.mark.parametrize("status", [486, 603, 480, 500])
async def test_refused_seat_call_is_repeated_a_few_times_and_then_the_agent_is_logged_out(
    floor: Floor, status: int
) -> None:
    await floor.start(seat_tries=3, seat_retry_s=0.2)
    project = await floor.project()
    await floor.lead(project)
    async with an_odd_phone(floor) as phone:
        phone.answer_invites_with = [status]
        agent_id = await an_agent_at_the_odd_phone(floor, project.id)
        await floor.becomes(agent_id, AgentState.LOGGED_OUT, 20)
        assert len(invitations(phone)) == 3
        assert await floor.attempts() == []
        assert await floor.engine.parts.journal.flushed(5)
        assert await floor.pool.fetchval("select count(*) from agent_live") == 0
        phone.answer_invites_with = [200]
        await floor.login(agent_id)
        assert floor.state(agent_id) is AgentState.READY
        assert len(invitations(phone)) == 4


async def an_agent_at_the_odd_phone(floor: Floor, project_id: UUID) -> UUID:
    agent_id = await an_agent(floor.pool, projects=[project_id])
    floor.agents.append(agent_id)
    await floor.pool.execute("update devices set agent_id = $1 where id = $2", agent_id, floor.devices[0])
    await floor.engine.parts.projects.refresh()
    await floor.engine.execute(AgentLogin(agent_id=agent_id, device_id=floor.devices[0], wanted="ready"))
    return agent_id

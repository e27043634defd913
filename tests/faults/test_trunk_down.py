"""A trunk that is down: calls end as the trunk's fault, leads are kept for later, nothing storms, and dialling goes on by itself."""

from __future__ import annotations

import pytest

from dialer.domain.commands import HangUp
from dialer.domain.states import AgentState
from tests.system.engine.conftest import Floor

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

LEADS = 40


async def test_dead_trunk_is_not_stormed_costs_no_lead_and_is_used_again_when_it_is_back(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(ring_timeout_s=10)
    carrier = floor.telephony.carrier
    carrier.kill()
    try:
        await floor.until(lambda: trunk_is(floor, "Unavail"), "Asterisk to notice", 20)
        for _ in range(LEADS):
            await floor.lead(project, ring=0, talk=0)
        agents = [await floor.agent(project), await floor.agent(project)]
        failed = [row for row in await floor.ended(3, timeout_s=20) if row["outcome"] is not None]
        assert {row["outcome"] for row in failed} <= {"congestion", "failed"}
        for agent_id in agents:
            await floor.becomes(agent_id, AgentState.READY)
        await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "trunk_failing", "the reason", 10)
        tried = len(await floor.attempts())
        assert tried < LEADS / 2  # tries get rarer; a storm would have been through the list long ago
        lost = "select count(*) from leads where state not in ('new', 'retry', 'in_flight')"
        assert await floor.pool.fetchval(lost) == 0
    finally:
        await carrier.revive()
    await floor.until(lambda: trunk_is(floor, "Avail"), "the trunk to be back", 20)
    rows = await floor.ended(tried + 10, timeout_s=60)
    assert sum(row["outcome"] == "connected" for row in rows) >= 5


async def test_trunk_that_dies_in_a_conversation_ends_the_call_and_frees_the_agent(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    agent_id = await floor.agent(project)
    await floor.lead(project, ring=0)
    await floor.talking(agent_id)
    floor.telephony.carrier.kill()
    try:
        await floor.engine.execute(HangUp(agent_id=agent_id))
        [row] = await floor.ended(1, timeout_s=20)
        assert (row["outcome"], row["agent_id"]) == ("connected", agent_id)
        await floor.becomes(agent_id, AgentState.READY)
    finally:
        await floor.telephony.carrier.revive()


async def trunk_is(floor: Floor, status: str) -> bool:
    return f" {status} " in "\n".join(
        line for line in (await floor.node.console("pjsip show contacts")).splitlines() if "carrier/" in line
    )

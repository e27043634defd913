"""A trial on the real Asterisk: it dials its sample, one call for each agent, and no lead beyond it."""

from __future__ import annotations

from collections import Counter

import pytest

from dialer.domain.states import AgentState
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_trial_stops_at_its_sample_and_says_so(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="trial", trial_size=5)
    for n in range(9):
        await floor.lead(project, Behaviour.BUSY if n == 1 else Behaviour.HUMAN, ring=0, talk=n % 2)
    agents = [await floor.agent(project) for _ in range(2)]
    rows = await floor.ended(5, timeout_s=60)
    assert Counter(row["outcome"] for row in rows) == {"connected": 4, "busy": 1}
    await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "sample", "the reason", 10)
    for agent_id in agents:
        await floor.becomes(agent_id, AgentState.READY)
    dialled = Counter(record.number for record in floor.telephony.carrier.cdr() if record.number in floor.numbers)
    assert sum(dialled.values()) == 5
    states = await floor.pool.fetch("select state, count(*) as leads from leads group by state")
    assert {row["state"]: row["leads"] for row in states} == {"done": 4, "retry": 1, "new": 4}
    await floor.pool.execute("update projects set trial_size = 7 where id = $1", project.id)
    assert len(await floor.ended(7, timeout_s=30)) == 7
    await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "sample", "the reason again", 10)
    assert len(await floor.attempts()) == 7

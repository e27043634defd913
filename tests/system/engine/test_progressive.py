"""Automatic dialling on the real Asterisk: lists dialled to their end, outcomes, safe harbour."""

from __future__ import annotations

from collections import Counter

import pytest

from dialer.domain.states import AgentState
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_progressive_run_with_five_agents_dials_its_list_to_the_end(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    for n in range(20):
        await floor.lead(project, Behaviour.HUMAN, ring=n % 3, talk=n % 3)
    agents = [await floor.agent(project) for _ in range(5)]
    rows = await floor.ended(20, timeout_s=60)
    assert Counter(row["outcome"] for row in rows) == {"connected": 20}
    assert {row["agent_id"] for row in rows} <= set(agents)
    assert not any(row["abandoned"] for row in rows)
    for agent_id in agents:
        await floor.becomes(agent_id, AgentState.READY)
    seen = Counter(record.number for record in floor.telephony.carrier.cdr() if record.number in floor.numbers)
    assert seen == Counter(floor.numbers)


@pytest.mark.parametrize(
    ("behaviour", "outcomes"),
    [
        (Behaviour.HUMAN, {"connected"}),
        (Behaviour.BUSY, {"busy"}),
        (Behaviour.NO_ANSWER, {"no_answer"}),
        (Behaviour.REJECTED, {"rejected"}),
        (Behaviour.VACANT, {"vacant"}),
        (Behaviour.POWERED_OFF, {"unreachable"}),
        (Behaviour.VOICEMAIL, {"connected"}),
        (Behaviour.ANSWER_HANGUP, {"connected", "hung_up_early"}),
        (Behaviour.CONGESTION, {"congestion"}),
        (Behaviour.EARLY_MEDIA, {"connected"}),
        (Behaviour.LATE_ANSWER, {"connected"}),
        (Behaviour.ONE_WAY_AUDIO, {"connected"}),
    ],
)
async def test_each_behaviour_of_the_network_is_recorded_with_its_outcome(
    floor: Floor, behaviour: Behaviour, outcomes: set[str]
) -> None:
    await floor.start()
    project = await floor.project(ring_timeout_s=10 if behaviour is not Behaviour.NO_ANSWER else 5)
    agent_id = await floor.agent(project)
    lead_id = await floor.lead(project, behaviour, ring=1, talk=1)
    [row] = await floor.ended(1, timeout_s=40)
    assert row["lead_id"] == lead_id
    assert row["outcome"] in outcomes
    await floor.becomes(agent_id, AgentState.READY)


async def test_answered_call_without_agent_gets_safe_harbour_within_two_seconds(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="ratio", ratio=2)
    await floor.lead(project, ring=0)
    await floor.lead(project, ring=0)
    await floor.engine.parts.projects.refresh()
    # Until the day's budget is known, no more calls than agents are placed.
    await floor.until(lambda: floor.engine.parts.abandonment.of(project).counted, "the budget's counts", 15)
    agent_id = await floor.agent(project)  # last: two calls are placed for one agent at the same moment
    await floor.talking(agent_id)
    rows = await floor.ended(1, timeout_s=20)
    abandoned = [row for row in rows if row["abandoned"]]
    assert [row["outcome"] for row in abandoned] == ["abandoned"]
    account = floor.engine.parts.abandonment.of(project)
    assert (account.answered, account.abandoned) == (1, 1)


async def test_two_projects_share_their_agents_without_promising_one_twice(floor: Floor) -> None:
    await floor.start()
    first, second = await floor.project(), await floor.project()
    for project in (first, second):
        for _ in range(6):
            await floor.lead(project, ring=0, talk=1)
    for _ in range(3):
        await floor.agent(first, second)
    rows = await floor.ended(12, timeout_s=60)
    assert Counter(row["outcome"] for row in rows) == {"connected": 12}


async def test_paused_project_places_no_more_calls_and_says_so(floor: Floor) -> None:
    from dialer.domain.commands import PauseProject, StartProject

    await floor.start()
    project = await floor.project()
    await floor.agent(project)
    await floor.engine.execute(PauseProject(project_id=project.id))
    await floor.lead(project, ring=0, talk=0)
    await floor.until(lambda: floor.engine.explain_project(project.id)["why"] == "paused", "explanation")
    assert await floor.attempts() == []
    await floor.engine.execute(StartProject(project_id=project.id))
    assert [row["outcome"] for row in await floor.ended(1)] == ["connected"]


async def test_trunk_with_a_wrong_name_fails_the_call_and_the_agent_stays_ready(floor: Floor) -> None:
    await floor.start()
    project = await floor.project()
    await floor.pool.execute("update trunks set endpoint = 'nobody'")
    agent_id = await floor.agent(project)
    await floor.lead(project)
    [row] = await floor.ended(1)
    assert row["outcome"] in {"failed", "unreachable", "congestion"}
    await floor.becomes(agent_id, AgentState.READY)

"""Machines on the real network: Asterisk listens, a machine is hung up on before an agent hears of it, a person gets one at once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from dialer.domain.pacing import Mode, Predictive
from dialer.domain.states import AgentState
from dialer.engine.records import read_records
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_machines_are_told_from_people_and_pacing_learns_their_share_and_the_delay(floor: Floor) -> None:
    await floor.start()
    project = await floor.project(mode="predictive", machine_detection="amd")
    people = {await floor.lead(project, Behaviour.HUMAN, ring=n % 2, talk=5) for n in range(3)}
    machines = {await floor.lead(project, Behaviour.VOICEMAIL, ring=n % 2, talk=5) for n in range(3)}
    silent = await floor.lead(project, Behaviour.ONE_WAY_AUDIO, ring=0, talk=6)
    agent_id = await floor.agent(project)
    rows = await floor.ended(7, timeout_s=90)
    outcomes = {row["lead_id"]: row["outcome"] for row in rows}
    assert Counter(outcomes[lead] for lead in machines) == {"machine": 3}
    assert Counter(outcomes[lead] for lead in people) == {"connected": 3}
    assert outcomes[silent] == "connected", "whoever says nothing may be a person"
    assert all(row["agent_id"] is None and row["bridged_at"] is None for row in rows if row["outcome"] == "machine")
    for row in rows:
        if row["lead_id"] in people:
            assert row["answered_at"] < row["greeted_at"] < row["bridged_at"]
            assert row["bridged_at"] - row["greeted_at"] < timedelta(seconds=2)
    await floor.becomes(agent_id, AgentState.READY)
    policy = floor.engine.parts.policies.of(project.id, Mode.PREDICTIVE)
    assert isinstance(policy, Predictive)
    humans, heard_machines, delay_s = policy.to_state()["knowledge"]["detection"]
    assert (round(humans), round(heard_machines)) == (4, 3)
    assert 0.8 < delay_s < 5
    ids = [row["id"] for row in rows if row["outcome"] == "machine"]

    def recorded() -> bool:
        not_before = rows[0]["created_at"] - timedelta(minutes=1)
        records = read_records(floor.node.cdr_file, ids, not_before=not_before).found
        return len(records) == 3 and all(record.machine for record in records.values())

    await floor.until(recorded, "what an engine that was away would read", 15)

"""Between a claim and its Originate a caller number can be lost in many ways: then the call is not sent, and its lead waits as if nothing had been."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.claim import claim
from campaigns.projects import Project
from campaigns.states import CallerNumberState
from dialer.domain.commands import Dial, ReloadProject
from dialer.domain.ids import uuid7
from dialer.domain.pacing import Mode
from dialer.domain.states import AgentState, CallState
from dialer.engine.clock import SystemClock
from dialer.engine.floor import Call
from tests.builders import a_request
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services
Loss = Callable[[asyncpg.Pool, Project], Awaitable[Any]]


async def a_claimed_call(stage: Stage, project: Project) -> tuple[Call, int]:
    """Committed, on the floor, not sent."""
    await stage.engine.parts.projects.refresh()
    [lead_id] = await stage.leads(project, 1)
    now = SystemClock().now()
    request = a_request(project, now=now, attempt_ids=(uuid7(now, bytes(10)),), holder=stage.engine.run_id)
    [claimed] = await claim(stage.pool, request)
    return stage.engine.parts.sending.begin(project, claimed, Mode.PROGRESSIVE), lead_id


async def retired(pool: asyncpg.Pool, project: Project) -> None:
    await caller_numbers.set_state(pool, project.caller_numbers[0].id, CallerNumberState.RETIRED, "given back")


async def taken_off_the_list(pool: asyncpg.Pool, project: Project) -> None:
    await caller_numbers.allow(pool, project.id, [])


async def certificate_withdrawn(pool: asyncpg.Pool, _project: Project) -> None:
    await pool.execute("update caller_numbers set certified = '{}'")


async def for_something_else(pool: asyncpg.Pool, _project: Project) -> None:
    await pool.execute("update caller_numbers set purposes = '{surveys}'")


async def moved_to_another_trunk(pool: asyncpg.Pool, project: Project) -> None:
    other = await pool.fetchval(
        "insert into trunks (name, node, endpoint, max_channels, max_cps) select 'other', node, 'other', 1, 1 from trunks limit 1 returning id"
    )
    await pool.execute("update caller_numbers set trunk_id = $1", other)
    assert project.trunk is not None


async def cannot_be_asked(pool: asyncpg.Pool, _project: Project) -> None:
    await pool.execute("alter function may_be_shown rename to may_be_shown_no_more")


@pytest.mark.parametrize(
    "lose",
    [retired, taken_off_the_list, certificate_withdrawn, for_something_else, moved_to_another_trunk, cannot_be_asked],
    ids=lambda lose: str(lose.__name__),
)
async def test_number_that_is_lost_between_claim_and_originate_is_not_sent(stage: Stage, lose: Loss) -> None:
    await stage.start(projects_every_s=60.0)
    project = await stage.project()
    call, lead_id = await a_claimed_call(stage, project)
    await lose(stage.pool, project)
    assert project.trunk is not None
    await stage.engine.parts.sending.send([call], project, project.trunk)
    assert (call.state, stage.asterisk.sent_calls()) == (CallState.ENDED, [])
    assert (await stage.ended_row(call.attempt_id))["outcome"] == "not_sent"
    lead = await stage.pool.fetchrow("select state, attempts from leads where id = $1", lead_id)
    assert lead is not None
    assert tuple(lead) == ("retry", 0)


async def test_number_that_may_still_be_shown_is_sent(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    call, _ = await a_claimed_call(stage, project)
    assert project.trunk is not None
    await stage.engine.parts.sending.send([call], project, project.trunk)
    assert stage.asterisk.sent_calls() == [call.channel_id]


async def test_diversion_that_was_retired_stops_the_call_it_would_go_along_with(stage: Stage) -> None:
    await stage.start(projects_every_s=60.0)
    project = await stage.project()
    assert project.trunk is not None
    own = await caller_numbers.add(stage.pool, "+862166660000", project.trunk.id)
    await stage.pool.execute("update trunks set diversion = $1", own.number)
    await stage.engine.parts.projects.refresh()
    project = await stage.engine.parts.projects.reload(project.id)
    call, _ = await a_claimed_call(stage, project)
    await caller_numbers.set_state(stage.pool, own.id, CallerNumberState.RETIRED, "given back")
    assert project.trunk is not None
    await stage.engine.parts.sending.send([call], project, project.trunk)
    assert stage.asterisk.sent_calls() == []


async def test_after_the_engine_was_told_nothing_goes_out_although_the_gate_was_asked_before(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's word is a moment old when it arrives; the engine's own list is looked at in the breath of sending."""
    await stage.start(projects_every_s=60.0)
    project = await stage.project()
    call, _ = await a_claimed_call(stage, project)
    sending = stage.engine.parts.sending
    asked = sending._last_gate

    async def answered_and_then_retired(*given: Any) -> frozenset[str]:
        may_go = await asked(*given)
        assert may_go == {call.caller_number}
        await retired(stage.pool, project)
        await stage.engine.execute(ReloadProject(project_id=project.id))
        return may_go

    monkeypatch.setattr(sending, "_last_gate", answered_and_then_retired)
    assert project.trunk is not None
    await sending.send([call], project, project.trunk)
    assert (call.state, stage.asterisk.sent_calls()) == (CallState.ENDED, [])


async def test_agent_who_dials_by_hand_is_free_again_when_the_number_was_lost_on_the_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.start(projects_every_s=60.0)
    project = await stage.project(mode="manual")
    agent_id = await stage.agent(project)
    sending = stage.engine.parts.sending
    asked = sending._last_gate

    async def retired_before(*given: Any) -> frozenset[str]:
        await retired(stage.pool, project)
        return await asked(*given)

    monkeypatch.setattr(sending, "_last_gate", retired_before)
    await stage.engine.execute(Dial(agent_id=agent_id, project_id=project.id, number="13800138000"))
    await stage.until(lambda: stage.state(agent_id) is AgentState.READY, "the agent is free")
    assert stage.asterisk.sent_calls() == []


async def test_pacer_says_that_no_caller_number_may_be_shown_and_goes_on_when_one_may(stage: Stage) -> None:
    await stage.start()
    project = await stage.project()
    await stage.leads(project, 3)
    await stage.pool.execute("update caller_numbers set cools_until = now() + interval '1 hour'")
    agent_id = await stage.agent(project)
    await stage.until(lambda: stage.engine.explain_project(project.id)["why"] == "caller_number", "the reason")
    assert stage.asterisk.sent_calls() == []
    await stage.pool.execute("update caller_numbers set cools_until = null")
    await stage.call()
    assert stage.on_floor(agent_id)

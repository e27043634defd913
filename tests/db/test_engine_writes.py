"""Promises of what an engine writes behind its calls: in order, in batches, twice without harm; and of the lease of its node."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from dialer.db import nodes
from dialer.db.agents import AgentChange, get_agent, list_agents, live_of_node, save_changes, stays
from dialer.db.attempts import Progress, ended_between, save_progress
from dialer.db.attempts import live_of_node as live_attempts_of_node
from dialer.db.devices import devices_of_node, get_device
from dialer.db.pool import LOST, close_pool, create_pool
from dialer.domain.errors import Conflict, NotFound
from dialer.domain.states import AgentState, CallState
from tests.builders import (
    NODE,
    NOON,
    a_device,
    a_node,
    a_project,
    an_agent,
    an_attempt,
)

pytestmark = pytest.mark.services


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_the_news_of_a_call_are_folded_and_the_first_time_of_each_kind_stays(pool: Pool) -> None:
    claimed = await an_attempt(pool, await a_project(pool))
    agent = uuid4()
    news = [
        Progress(attempt_id=claimed.attempt_id, state=CallState.ORIGINATING, sent_at=at(1)),
        Progress(attempt_id=claimed.attempt_id, state=CallState.RINGING, ringing_at=at(2)),
        Progress(attempt_id=claimed.attempt_id, state=CallState.ANSWERED, answered_at=at(3)),
        Progress(attempt_id=claimed.attempt_id, state=CallState.BRIDGED, bridged_at=at(4), agent_id=agent),
    ]
    assert await save_progress(pool, news) == 1
    assert (
        await save_progress(
            pool, [Progress(attempt_id=claimed.attempt_id, state=CallState.HELD, bridged_at=at(9), ringing_at=at(9))]
        )
        == 1
    )
    (attempt,) = await live_attempts_of_node(pool, NODE)
    assert (attempt.state, attempt.sent_at, attempt.ringing_at, attempt.answered_at, attempt.bridged_at, attempt.agent_id) == (
        CallState.HELD, at(1), at(2), at(3), at(4), agent,
    )  # fmt: skip
    assert await save_progress(pool, []) == 0


async def test_late_news_do_not_raise_the_dead(pool: Pool) -> None:
    claimed = await an_attempt(pool, await a_project(pool))
    await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=at(5))])
    assert (
        await save_progress(pool, [Progress(attempt_id=claimed.attempt_id, state=CallState.RINGING, ringing_at=at(9))])
        == 0
    )
    assert await pool.fetchval("select count(*) from attempts where state = 'ended' and ringing_at is null") == 1
    with pytest.raises(ValueError, match="finish"):
        await save_progress(pool, [Progress(attempt_id=claimed.attempt_id, state=CallState.ENDED)])


async def test_a_restarted_engine_finds_its_own_live_attempts_and_no_others(pool: Pool) -> None:
    project = await a_project(pool)
    await a_node(pool, "other")
    ours = await an_attempt(pool, project)
    ended = await an_attempt(pool, project)
    await an_attempt(pool, project, node="other")
    await finish(pool, [EndedAttempt(attempt_id=ended.attempt_id, outcome="busy", ended_at=at(5))])
    (live,) = await live_attempts_of_node(pool, NODE)
    assert (live.id, live.number, live.state, live.caller_number) == (
        ours.attempt_id,
        ours.number,
        CallState.COMMITTED,
        ours.caller_number,
    )


async def test_the_abandonment_budget_counts_answered_and_abandoned_calls_of_its_period(pool: Pool) -> None:
    project = await a_project(pool)
    other = await a_project(pool)
    for second, answered, abandoned in ((0, True, True), (10, True, True), (11, True, False), (12, False, False)):
        claimed = await an_attempt(pool, project, now=at(second))
        end = EndedAttempt(
            attempt_id=claimed.attempt_id,
            outcome="abandoned" if abandoned else "no_answer",
            ended_at=at(second + 5),
            answered_at=at(second + 2) if answered else None,
            abandoned=abandoned,
        )
        await finish(pool, [end])
    counted = {
        one.outcome: one for one in await ended_between(pool, {project.id: (at(6), at(60)), other.id: (at(0), at(60))})
    }
    assert {outcome: (one.ended, one.answered, one.abandoned) for outcome, one in counted.items()} == {
        "abandoned": (1, 1, 1),
        "no_answer": (2, 1, 0),
    }
    assert {one.project_id for one in counted.values()} == {project.id}


def change(agent: UUID, state: AgentState, second: float, **more: object) -> AgentChange:
    return replace(
        AgentChange(agent_id=uuid4(), node=NODE, state=state, since=at(second), logged_in_at=at(0)),
        agent_id=agent,
        **more,  # type: ignore[arg-type]
    )


async def test_an_agents_stays_join_without_gap_or_overlap_and_the_last_is_open(pool: Pool) -> None:
    agent = await an_agent(pool)
    await a_node(pool)
    await save_changes(pool, [change(agent, AgentState.SEATING, 0), change(agent, AgentState.BREAK, 2, reason="start")])
    batch = [
        change(agent, AgentState.READY, 10, seat_channel="seat-1"),
        change(agent, AgentState.RESERVED, 20),
        change(agent, AgentState.TALKING, 20),  # reserved for no time at all: no stay
        change(agent, AgentState.WRAP_UP, 50),
    ]
    for _ in range(2):  # the answer was lost, the batch comes again
        await save_changes(pool, batch)
    found = [(stay.state, stay.began_at, stay.ended_at) for stay in await stays(pool, agent, at(0), at(999))]
    assert found == [
        (AgentState.SEATING, at(0), at(2)),
        (AgentState.BREAK, at(2), at(10)),
        (AgentState.READY, at(10), at(20)),
        (AgentState.TALKING, at(20), at(50)),
        (AgentState.WRAP_UP, at(50), None),
    ]
    (live,) = await live_of_node(pool, NODE)
    assert (live.agent_id, live.state, live.since, live.logged_in_at) == (agent, AgentState.WRAP_UP, at(50), at(0))


async def test_a_clock_that_was_set_back_does_not_stop_the_writing(pool: Pool) -> None:
    agent = await an_agent(pool)
    await a_node(pool)
    await save_changes(pool, [change(agent, AgentState.READY, 100)])
    batch = [
        change(agent, AgentState.TALKING, 110),
        change(agent, AgentState.WRAP_UP, 40),
        change(agent, AgentState.READY, 40),
        change(agent, AgentState.BREAK, 30),
    ]
    for _ in range(2):
        await save_changes(pool, batch)
    await save_changes(pool, [change(agent, AgentState.READY, 100)])
    still = [stay for stay in await stays(pool, agent, at(0), at(999)) if stay.ended_at is None]
    assert [(stay.state, stay.began_at) for stay in still] == [(AgentState.READY, at(100))]


async def test_logging_out_ends_the_stay_and_the_live_row(pool: Pool) -> None:
    agent, other = await an_agent(pool), await an_agent(pool)
    await a_node(pool)
    await save_changes(
        pool,
        [
            change(agent, AgentState.READY, 0),
            change(other, AgentState.READY, 1),
            change(agent, AgentState.LOGGED_OUT, 5),
        ],
    )
    assert [live.agent_id for live in await live_of_node(pool)] == [other]
    assert [(stay.state, stay.ended_at) for stay in await stays(pool, agent, at(0), at(9))] == [
        (AgentState.READY, at(5))
    ]
    await save_changes(pool, [change(agent, AgentState.LOGGED_OUT, 6)])
    assert [(stay.state, stay.ended_at) for stay in await stays(pool, agent, at(0), at(9))] == [
        (AgentState.READY, at(5))
    ]


async def test_of_engines_that_want_one_node_exactly_one_gets_it(pool: Pool) -> None:
    holders = [uuid4() for _ in range(8)]
    outcomes = await asyncio.gather(
        *(nodes.acquire(pool, "n", holder, lease_s=30) for holder in holders), return_exceptions=True
    )
    won = [holder for holder, outcome in zip(holders, outcomes, strict=True) if isinstance(outcome, nodes.Node)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert (len(won), len(lost), {error.error_id for error in lost}) == (1, 7, {"node_taken"})
    assert await nodes.renew(pool, "n", won[0], lease_s=30)
    assert not await nodes.renew(pool, "n", uuid4(), lease_s=30)
    await nodes.release(pool, "n", uuid4())
    assert (await nodes.list_nodes(pool))[0].held
    await nodes.release(pool, "n", won[0])
    assert (await nodes.acquire(pool, "n", uuid4(), lease_s=30)).held


async def test_a_lease_that_ran_out_is_lost_and_may_be_taken(pool: Pool) -> None:
    dead, heir = uuid4(), uuid4()
    await nodes.acquire(pool, "n", dead, lease_s=0)
    assert not await nodes.renew(pool, "n", dead, lease_s=30)
    taken = await nodes.acquire(pool, "n", heir, lease_s=30, control_url="http://127.0.0.1:1")
    assert (taken.holder, taken.control_url) == (heir, "http://127.0.0.1:1")
    assert not await nodes.renew(pool, "n", dead, lease_s=30)


async def test_an_engine_finds_agents_with_their_projects_and_the_devices_of_its_node(pool: Pool) -> None:
    project = await a_project(pool)
    agent = await an_agent(pool, projects=[project.id], skills=["zh"])
    found = await get_agent(pool, agent)
    assert (found.project_ids, found.skills) == ((project.id,), ("zh",))
    assert await list_agents(pool) == [found]
    ours, elsewhere, removed = (
        await a_device(pool, agent),
        await a_device(pool, agent, node="other"),
        await a_device(pool, agent, kind="webrtc"),
    )
    await pool.execute("update devices set removed_at = now() where id = $1", removed)
    assert [device.id for device in await devices_of_node(pool, NODE)] == [ours]
    assert (await get_device(pool, elsewhere)).node == "other"
    for missing in (get_device(pool, uuid4()), get_agent(pool, uuid4())):
        with pytest.raises(NotFound):
            await missing


async def test_a_pool_heals_when_its_connections_were_cut(database_url: str, pool: Pool) -> None:
    mine = await create_pool(database_url, application_name="to be cut", min_size=3, max_size=3)
    await pool.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'to be cut'"
    )
    async with asyncio.timeout(10):
        while True:
            try:
                assert await mine.fetchval("select '{\"a\": 1}'::jsonb") == {"a": 1}
                break
            except LOST:
                continue
    await close_pool(mine)


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(database_url: str) -> None:
    mine = await create_pool(database_url, statement_timeout_s=0.1)
    with pytest.raises(asyncpg.QueryCanceledError):
        await mine.execute("select pg_sleep(5)")
    await close_pool(mine)


async def test_what_must_never_happen_is_refused_by_the_database(pool: Pool) -> None:
    project = await a_project(pool)
    device_agent = await an_agent(pool)
    await a_device(pool, device_agent)
    await an_attempt(pool, project)
    for statement, error in (
        (
            "insert into live_attempts select number, gen_random_uuid(), lead_id, project_id, node, created_at from live_attempts",
            asyncpg.UniqueViolationError,
        ),
        ("update attempts set state = 'ended'", asyncpg.CheckViolationError),
        ("update attempts set state = 'flying'", asyncpg.CheckViolationError),
        ("update attempts set bridged_at = now()", asyncpg.CheckViolationError),
        ("update attempts set abandoned = true", asyncpg.CheckViolationError),
        ("update leads set number = '13812345678'", asyncpg.CheckViolationError),
        ("update callees set called = null", asyncpg.NotNullViolationError),
        ("delete from attempts", asyncpg.ForeignKeyViolationError),
        ("update trunks set endpoint = 'a&PJSIP/b'", asyncpg.CheckViolationError),
    ):
        with pytest.raises(error):
            await pool.execute(statement)
    await pool.execute(
        "insert into audit_log (actor, action, subject_type, subject_id) values ('test', 'listen', 'recording', '1')"
    )
    for statement in ("update audit_log set actor = 'someone'", "delete from audit_log"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await pool.execute(statement)

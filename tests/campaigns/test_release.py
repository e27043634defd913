"""Promises of the end of a call: the lead moves by the project's rules, the agent's word counts, and everything may be said twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import retry
from campaigns.callbacks import due_callbacks
from campaigns.claim import claim, claim_number
from campaigns.dispositions import Disposition
from campaigns.dispositions import save as save_dispositions
from campaigns.do_not_call import standing
from campaigns.errors import BadInput, Missing
from campaigns.leads import get_lead
from campaigns.projects import load_project
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from campaigns.retry import RetryRule
from campaigns.sql import Pool
from campaigns.states import Effect, LeadState
from lab.waiting import wait_until
from tests.builders import NOON, a_lead, a_number, a_project, a_request, an_agent, an_attempt

pytestmark = pytest.mark.services
LATER = NOON + timedelta(minutes=1)


async def test_an_ended_attempt_keeps_its_times_and_frees_its_number(pool: Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    agent = uuid4()
    times: dict[str, Any] = {
        "sent_at": NOON,
        "ringing_at": NOON + timedelta(seconds=2),
        "answered_at": NOON + timedelta(seconds=9),
        "bridged_at": NOON + timedelta(seconds=10),
    }
    await finish(
        pool,
        [
            EndedAttempt(
                attempt_id=claimed.attempt_id,
                outcome="connected",
                ended_at=LATER,
                hangup_cause=16,
                agent_id=agent,
                **times,
            )
        ],
    )
    row = await pool.fetchrow("select * from attempts")
    assert row is not None
    assert {key: row[key] for key in times} == times
    assert (row["state"], row["outcome"], row["ended_at"], row["hangup_cause"], row["agent_id"]) == (
        "ended",
        "connected",
        LATER,
        16,
        agent,
    )
    assert await pool.fetchval("select count(*) from live_attempts") == 0


async def test_an_end_that_is_told_twice_counts_once(pool: Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    first = EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=LATER)
    assert len(await finish(pool, [first])) == 1
    assert await finish(pool, [replace(first, outcome="no_answer", ended_at=LATER + timedelta(hours=1))]) == []
    assert await pool.fetchval("select outcome from attempts") == "busy"
    with pytest.raises(BadInput):
        await finish(pool, [first, first])
    assert await finish(pool, []) == []


async def test_an_unknown_attempt_in_a_batch_does_not_hold_up_the_others(pool: Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    batch = [EndedAttempt(attempt_id=one, outcome="busy", ended_at=LATER) for one in (uuid4(), claimed.attempt_id)]
    assert [one.attempt_id for one in await finish(pool, batch)] == [claimed.attempt_id]


async def test_the_retry_table_in_the_database_says_what_the_rule_in_python_says(pool: Pool) -> None:
    """All paths of one lead through a table of rules, against `retry.after`."""
    rules = (
        RetryRule(outcome="busy", retry_after=timedelta(minutes=15), max_times=2),
        RetryRule(outcome="no_answer", retry_after=timedelta(hours=4), max_times=0),
        RetryRule(outcome="canceled", retry_after=timedelta(minutes=30), max_times=2, counts=False),
    )
    project = await a_project(pool, max_attempts=4, daily_cap_per_number=100)
    await retry.save(pool, project.id, rules)
    for path in (
        ["busy", "busy", "busy"],
        ["no_answer"],
        ["busy", "connected"],
        ["busy", "vacant"],
        ["busy", "busy", "no_answer"],
        ["canceled", "canceled", "busy", "busy", "failed"],
        ["canceled", "canceled", "canceled"],
    ):
        lead_id = await a_lead(pool, project.id)
        given_back = 0
        for place, outcome in enumerate(path):
            claimed = await claim_number(pool, a_request(project), lead_id=lead_id)
            (finished,) = await finish(
                pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome=outcome, ended_at=LATER)]
            )
            said = retry.after(
                outcome,
                rules,
                times_before=path[:place].count(outcome),
                attempts=place + 1 - given_back,
                max_attempts=project.max_attempts,
                ended_at=LATER,
            )
            assert (finished.lead_state, finished.next_at) == (said.state, said.next_at), (path, place)
            given_back += outcome == "canceled"
            assert (await get_lead(pool, lead_id)).attempts == place + 1 - given_back


@pytest.mark.parametrize(("growth", "hours"), [(100, [4, 4, 4]), (200, [4, 8, 16]), (1000, [4, 40, 400])])
async def test_delays_grow_with_each_time_as_the_rule_and_the_result_say(
    pool: Pool, growth: int, hours: list[int]
) -> None:
    delay = timedelta(hours=4)
    project = await a_project(pool, max_attempts=100, daily_cap_per_number=100)
    rule = RetryRule(outcome="busy", retry_after=delay, max_times=50, growth_percent=growth)
    await retry.save(pool, project.id, [rule])
    later = Disposition(
        code="later", label_zh="再打", label_en="Later", effect=Effect.RETRY, retry_after=delay, growth_percent=growth
    )
    await save_dispositions(pool, project.id, [later])
    project = await load_project(pool, project.id)
    assert (project.retry_rules, project.dispositions) == ((rule,), (later,))
    busy, spoken = await a_lead(pool, project.id), await a_lead(pool, project.id)
    by_outcome, by_result = [], []
    for place, _ in enumerate(hours):
        now = NOON + timedelta(seconds=place)
        attempt = await an_attempt(pool, project, busy, now=now)
        (finished,) = await finish(pool, [EndedAttempt(attempt_id=attempt.attempt_id, outcome="busy", ended_at=LATER)])
        by_outcome.append(finished.next_at)
        attempt = await an_attempt(pool, project, spoken, now=now)
        await finish(pool, [EndedAttempt(attempt_id=attempt.attempt_id, outcome="connected", ended_at=LATER)])
        wrapped = await wrap_up(pool, WrapUp(attempt_id=attempt.attempt_id, disposition="later", now=LATER))
        by_result.append(wrapped.next_at)
    assert by_outcome == by_result == [LATER + timedelta(hours=one) for one in hours]


@given(st.integers(0, 10_000), st.integers(100, 1000), st.integers(0, 100))
def test_a_growing_delay_never_shrinks_and_ends_at_thirty_days(minutes: int, growth: int, times: int) -> None:
    delay = timedelta(minutes=minutes)
    grown = retry.grown(delay, growth, times)
    assert delay <= grown <= max(delay, retry.LONGEST_DELAY)
    assert retry.grown(delay, growth, times + 1) >= grown


async def test_the_last_attempt_that_is_allowed_exhausts_the_lead(pool: Pool) -> None:
    project = await a_project(pool, max_attempts=2)
    lead_id = await a_lead(pool, project.id)
    states = []
    for _ in range(2):
        claimed = await an_attempt(pool, project, lead_id)
        (finished,) = await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=LATER)])
        states.append(finished.lead_state)
    assert states == [LeadState.RETRY, LeadState.EXHAUSTED]


@given(
    max_times=st.integers(0, 5),
    times_before=st.integers(0, 10),
    attempts=st.integers(1, 12),
    max_attempts=st.integers(1, 12),
    minutes=st.integers(0, 10_000),
)
def test_a_retry_is_never_in_the_past_nor_beyond_the_limits(
    max_times: int, times_before: int, attempts: int, max_attempts: int, minutes: int
) -> None:
    rules = [RetryRule(outcome="busy", retry_after=timedelta(minutes=minutes), max_times=max_times)]
    move = retry.after(
        "busy", rules, times_before=times_before, attempts=attempts, max_attempts=max_attempts, ended_at=NOON
    )
    if move.state is LeadState.RETRY:
        assert move.next_at is not None
        assert move.next_at >= NOON
        assert times_before < max_times
        assert attempts < max_attempts
    else:
        assert move.next_at is None
        assert move.state is LeadState.EXHAUSTED
    assert (
        retry.after("voicemail", rules, times_before=0, attempts=1, max_attempts=9, ended_at=NOON).state
        is LeadState.DONE
    )


@pytest.mark.parametrize(
    ("code", "effect", "state", "next_at"),
    [
        ("agreed", Effect.FINAL, LeadState.DONE, None),
        ("busy_now", Effect.RETRY, LeadState.RETRY, LATER + timedelta(hours=4)),
        ("do_not_call", Effect.DO_NOT_CALL, LeadState.DO_NOT_CALL, None),
    ],
)
@pytest.mark.parametrize("order", ["after_the_end", "before_the_end"])
async def test_the_agents_result_decides_over_the_lead_whenever_it_comes(
    pool: Pool, code: str, effect: Effect, state: LeadState, next_at: object, order: str
) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, fields={"city": "上海", "age": "30"})
    claimed = await an_attempt(pool, project, lead_id)
    ended = [
        EndedAttempt(
            attempt_id=claimed.attempt_id, outcome="connected", ended_at=NOON, answered_at=NOON, bridged_at=NOON
        )
    ]
    if order == "after_the_end":
        await finish(pool, ended)
    wrapped = await wrap_up(
        pool, WrapUp(attempt_id=claimed.attempt_id, disposition=code, now=LATER, note="=note", fields={"age": "31"})
    )
    if order == "before_the_end":
        await finish(pool, ended)
    assert (wrapped.effect, wrapped.lead_state, wrapped.next_at) == (effect, state, next_at)
    lead = await get_lead(pool, lead_id)
    assert (lead.state, lead.disposition, lead.fields) == (state, code, {"city": "上海", "age": "31"})
    row = await pool.fetchrow("select disposition, note, wrapped_at from attempts")
    assert row is not None
    assert tuple(row) == (code, "=note", LATER)
    assert bool(await standing(pool, claimed.number, now=LATER)) is (effect is Effect.DO_NOT_CALL)


@pytest.mark.parametrize("write", ["result", "end"])
async def test_result_and_end_of_a_call_take_the_attempt_before_the_lead_so_that_neither_waits_for_the_other(
    pool: Pool, write: str
) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id)
    claimed = await an_attempt(pool, project, lead_id)
    if write == "result":
        work: Any = wrap_up(pool, WrapUp(attempt_id=claimed.attempt_id, disposition="agreed", now=LATER))
    else:
        work = finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="connected", ended_at=NOON)])
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("select from leads where id = $1 for update", lead_id)
        writing = asyncio.get_running_loop().create_task(work)

        async def waits_for_the_lead() -> bool:
            return bool(await pool.fetchval("select count(*) from pg_locks where not granted"))

        await wait_until(waits_for_the_lead, timeout_s=10, what="the writer at the lead")
        free = await pool.fetch("select id from attempts where id = $1 for update skip locked", claimed.attempt_id)
        assert free == []
    await writing


async def test_do_not_call_as_a_result_holds_in_every_project_at_once(pool: Pool) -> None:
    one, other = await a_project(pool), await a_project(pool)
    number = a_number()
    waiting = await a_lead(pool, other.id, number=number)
    claimed = await an_attempt(pool, one, await a_lead(pool, one.id, number=number))
    await wrap_up(pool, WrapUp(attempt_id=claimed.attempt_id, disposition="do_not_call", now=LATER))
    lead = await get_lead(pool, waiting)
    assert (lead.state, lead.disposition) == (LeadState.DO_NOT_CALL, None)
    assert await claim(pool, a_request(other)) == []


async def test_a_personal_callback_waits_for_its_agent_and_goes_back_to_them(pool: Pool) -> None:
    project = await a_project(pool)
    agent = await an_agent(pool, projects=[project.id])
    lead_id = await a_lead(pool, project.id)
    claimed = await an_attempt(pool, project, lead_id, agent_id=agent)
    await finish(
        pool,
        [
            EndedAttempt(
                attempt_id=claimed.attempt_id, outcome="connected", ended_at=NOON, answered_at=NOON, bridged_at=NOON
            )
        ],
    )
    at = NOON + timedelta(hours=2)
    wrapped = await wrap_up(
        pool, WrapUp(attempt_id=claimed.attempt_id, disposition="call_back", now=LATER, agent_id=agent, callback_at=at)
    )
    assert (wrapped.lead_state, wrapped.next_at) == (LeadState.CALLBACK, at)
    assert await due_callbacks(pool, lines=[(project.id, agent)], now=at - timedelta(seconds=1)) == []
    assert await due_callbacks(pool, lines=[(project.id, None)], now=at) == []
    (due,) = await due_callbacks(pool, lines=[(project.id, agent)], now=at)
    assert (due.lead_id, due.agent_id, due.due_at) == (lead_id, agent, at)
    assert await claim(pool, a_request(project, now=at)) == []
    again = await claim_number(pool, a_request(project, now=at, agent_id=agent), lead_id=lead_id)
    (finished,) = await finish(pool, [EndedAttempt(attempt_id=again.attempt_id, outcome="no_answer", ended_at=at)])
    assert (finished.lead_state, finished.next_at) == (LeadState.CALLBACK, at + timedelta(hours=4))


async def test_a_shared_callback_belongs_to_nobody(pool: Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    await wrap_up(
        pool,
        WrapUp(
            attempt_id=claimed.attempt_id,
            disposition="call_back",
            now=LATER,
            agent_id=uuid4(),
            callback_at=LATER,
            callback_personal=False,
        ),
    )
    (due,) = await due_callbacks(pool, lines=[(project.id, None)], now=LATER)
    assert due.agent_id is None


async def test_an_old_calls_result_does_not_move_a_lead_that_was_called_again(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id)
    old = await an_attempt(pool, project, lead_id)
    await finish(pool, [EndedAttempt(attempt_id=old.attempt_id, outcome="busy", ended_at=NOON)])
    await an_attempt(pool, project, lead_id, now=LATER)
    wrapped = await wrap_up(pool, WrapUp(attempt_id=old.attempt_id, disposition="agreed", now=LATER))
    assert wrapped.lead_state is None
    assert (await get_lead(pool, lead_id)).state is LeadState.IN_FLIGHT


async def test_a_result_that_cannot_be_used_is_refused_and_changes_nothing(pool: Pool) -> None:
    project = await a_project(pool)
    claimed = await an_attempt(pool, project)
    for disposition, error_id in (("no_such", "disposition_unknown"), ("call_back", "callback_time_missing")):
        with pytest.raises(BadInput) as refused:
            await wrap_up(pool, WrapUp(attempt_id=claimed.attempt_id, disposition=disposition, now=LATER))
        assert refused.value.error_id == error_id
    with pytest.raises(Missing):
        await wrap_up(pool, WrapUp(attempt_id=uuid4(), disposition="agreed", now=LATER))
    assert await pool.fetchval("select count(*) from attempts where disposition is null and wrapped_at is null") == 1

"""Promises of the claim: one live attempt a number, caps, do-not-call, the allow-list, the order, and that nothing blocks the line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from campaigns import do_not_call, leads, projects
from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers.number import Offer
from campaigns.claim import claim, claim_number
from campaigns.errors import BadInput, Missing, NotEvaluable, Refused
from campaigns.release import EndedAttempt, finish
from campaigns.sql import Pool
from campaigns.states import CallerNumberState, DialMode, LeadState, ProjectState
from tests.builders import NOON, a_lead, a_number, a_project, a_request, a_trunk, an_attempt, new_ids

pytestmark = pytest.mark.services


async def test_a_claimed_lead_is_a_committed_attempt_that_nobody_else_can_claim(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, name="王芳", fields={"city": "上海"})
    (claimed,) = await claim(pool, a_request(project, 3))
    row = await pool.fetchrow("select * from attempts where id = $1", claimed.attempt_id)
    assert row is not None
    assert (row["state"], row["lead_id"], row["number"], row["caller_number"]) == (
        "committed",
        lead_id,
        claimed.number,
        claimed.caller_number,
    )
    assert (claimed.name, claimed.fields) == ("王芳", {"city": "上海"})
    lead = await leads.get_lead(pool, lead_id)
    assert (lead.state, lead.attempts, lead.last_attempt_at) == (LeadState.IN_FLIGHT, 1, NOON)
    assert (
        await pool.fetchval("select attempt_id from live_attempts where number = $1", claimed.number)
        == claimed.attempt_id
    )
    assert await claim(pool, a_request(project, 3)) == []


async def test_each_attempt_keeps_its_id_its_caller_number_and_its_agent(pool: Pool) -> None:
    project = await a_project(pool, caller_number_count=2)
    for _ in range(2):
        await a_lead(pool, project.id)
    numbers = tuple(number.number for number in project.caller_numbers)
    request = replace(
        a_request(project, 2),
        offers=tuple(Offer(number=number, room=1) for number in numbers),
        agent_id=uuid4(),
        device_id=uuid4(),
        mode=DialMode.PREVIEW,
    )
    claimed = await claim(pool, request)
    shown = {one.attempt_id: one.caller_number for one in claimed}
    assert set(shown) == set(request.attempt_ids)
    assert sorted(shown.values()) == sorted(numbers)
    rows = await pool.fetch("select id, caller_number, agent_id, device_id, mode from attempts")
    assert {row["id"]: row["caller_number"] for row in rows} == shown
    assert {tuple(row)[2:] for row in rows} == {(request.agent_id, request.device_id, "preview")}


async def test_leads_come_by_priority_then_by_the_time_they_are_due(pool: Pool) -> None:
    project = await a_project(pool)
    late = await a_lead(pool, project.id, priority=1, state="retry", next_at=NOON - timedelta(hours=1))
    early = await a_lead(pool, project.id, priority=1, state="retry", next_at=NOON - timedelta(hours=2))
    urgent = await a_lead(pool, project.id, priority=5)
    low = await a_lead(pool, project.id, priority=-3)
    await a_lead(pool, project.id, priority=9, state="retry", next_at=NOON + timedelta(seconds=1))
    claimed = [(await claim(pool, a_request(project)))[0].lead_id for _ in range(4)]
    assert claimed == [urgent, early, late, low]
    assert await claim(pool, a_request(project)) == []


@pytest.mark.parametrize("state", ["in_flight", "callback", "done", "do_not_call", "exhausted"])
async def test_only_new_leads_and_retries_are_dialled_from_the_list(pool: Pool, state: str) -> None:
    project = await a_project(pool)
    await a_lead(pool, project.id, state=state)
    assert await claim(pool, a_request(project)) == []


@pytest.mark.parametrize("state", [state for state in ProjectState if state is not ProjectState.RUNNING])
async def test_a_project_that_does_not_run_is_not_dialled(pool: Pool, state: ProjectState) -> None:
    project = await a_project(pool, state=state)
    lead_id = await a_lead(pool, project.id)
    assert await claim(pool, a_request(project)) == []
    with pytest.raises(Refused) as refused:
        await claim_number(pool, a_request(project), lead_id=lead_id)
    assert refused.value.error_id == "project_not_running"


async def test_a_number_that_is_alive_in_another_project_is_not_dialled_and_comes_back(pool: Pool) -> None:
    one, other = await a_project(pool), await a_project(pool)
    number = a_number()
    await an_attempt(pool, one, await a_lead(pool, one.id, number=number))
    lead_id = await a_lead(pool, other.id, number=number)
    free = await a_lead(pool, other.id)
    assert [claimed.lead_id for claimed in await claim(pool, a_request(other))] == [free]
    assert (await leads.get_lead(pool, lead_id)).next_at == NOON + timedelta(minutes=1)
    with pytest.raises(Refused) as refused:
        await claim_number(pool, a_request(other), lead_id=lead_id)
    assert refused.value.error_id == "number_live"


async def test_a_number_is_not_called_more_often_in_a_day_than_its_cap(pool: Pool) -> None:
    project = await a_project(pool, daily_cap_per_number=2, max_attempts=50, zone="Asia/Shanghai")
    lead_id = await a_lead(pool, project.id)
    for _ in range(2):
        (claimed,) = await claim(pool, a_request(project))
        await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=NOON)])
        await pool.execute("update leads set state = 'retry', next_at = '-infinity'")
    assert await claim(pool, a_request(project)) == []
    lead = await leads.get_lead(pool, lead_id)
    assert (lead.state, lead.next_at) == (
        LeadState.RETRY,
        datetime(2026, 6, 1, 16, 0, tzinfo=UTC),
    )  # when tomorrow's window opens in Shanghai
    with pytest.raises(Refused) as refused:
        await claim_number(pool, a_request(project), lead_id=lead_id)
    assert refused.value.error_id == "daily_cap"
    assert len(await claim(pool, a_request(project, now=datetime(2026, 6, 1, 16, 0, tzinfo=UTC)))) == 1


async def test_the_cap_counts_the_number_in_all_projects(pool: Pool) -> None:
    number = a_number()
    one, other = await a_project(pool, daily_cap_per_number=1), await a_project(pool, daily_cap_per_number=1)
    claimed = await an_attempt(pool, one, await a_lead(pool, one.id, number=number))
    await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=NOON)])
    await a_lead(pool, other.id, number=number)
    assert await claim(pool, a_request(other)) == []


async def test_a_do_not_call_entry_stops_the_next_claim_in_every_project(pool: Pool) -> None:
    number = a_number()
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, number=number)
    await pool.execute(
        "insert into do_not_call (number, reason, source) values ($1, 'asked', 'test')", number
    )  # behind our back: the lead still waits
    assert await claim(pool, a_request(project)) == []
    assert (await leads.get_lead(pool, lead_id)).state is LeadState.DO_NOT_CALL
    with pytest.raises(Refused) as refused:
        await claim_number(pool, a_request(project), number=number)
    assert refused.value.error_id == "do_not_call"


async def test_do_not_call_takes_the_number_off_every_list_at_once_and_lets_a_live_call_end(pool: Pool) -> None:
    number = a_number()
    one, other = await a_project(pool), await a_project(pool)
    live, waiting = await a_lead(pool, one.id, number=number), await a_lead(pool, other.id, number=number)
    claimed = await an_attempt(pool, one, live)
    assert await do_not_call.add(pool, [number], reason="asked", source="test", now=NOON) == 1
    assert await do_not_call.add(pool, [number], reason="again", source="test", now=NOON) == 0
    assert (await leads.get_lead(pool, waiting)).state is LeadState.DO_NOT_CALL
    assert (await leads.get_lead(pool, live)).state is LeadState.IN_FLIGHT
    await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=NOON)])
    assert (await leads.get_lead(pool, live)).state is LeadState.DO_NOT_CALL


async def test_an_exhausted_lead_is_set_aside(pool: Pool) -> None:
    project = await a_project(pool, max_attempts=2)
    lead_id = await a_lead(pool, project.id, attempts=2, state="retry")
    assert await claim(pool, a_request(project)) == []
    assert (await leads.get_lead(pool, lead_id)).state is LeadState.EXHAUSTED


async def test_leads_that_may_not_be_dialled_never_hold_up_those_that_may(pool: Pool) -> None:
    project = await a_project(pool)
    blocked = [await a_lead(pool, project.id) for _ in range(150)]
    await pool.execute("insert into do_not_call (number, reason, source) select number, 'asked', 'test' from leads")
    free = [await a_lead(pool, project.id) for _ in range(3)]
    assert [claimed.lead_id for claimed in await claim(pool, a_request(project, 3))] == free
    assert await pool.fetchval("select count(*) from leads where state = 'do_not_call'") == len(blocked)


@pytest.mark.parametrize("how", ["unlisted", "resting", "other_trunk", "injected"])
async def test_a_caller_number_outside_the_allow_list_cannot_be_claimed_with(pool: Pool, how: str) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id)
    request = a_request(project)
    match how:
        case "unlisted":
            request = replace(request, offers=(Offer(number=a_number(), room=1),))
        case "resting":
            await caller_numbers.set_state(pool, project.caller_numbers[0].id, CallerNumberState.RESTING, "complaints")
        case "other_trunk":
            request = replace(request, trunk_id=(await a_trunk(pool)).id)
        case _:
            request = replace(request, offers=(Offer(number="' or true --\r\nAction: Originate", room=1),))
    for refuse in (claim(pool, request), claim_number(pool, request, lead_id=lead_id)):
        with pytest.raises(Refused) as refused:
            await refuse
        assert refused.value.error_id == "caller_number_refused"
    assert (
        await pool.fetchval("select count(*) from attempts")
        == await pool.fetchval("select count(*) from live_attempts")
        == 0
    )
    assert await pool.fetchval("select count(*) from callees") == 0


async def test_a_number_that_is_no_lead_is_dialled_by_hand_under_the_same_gates(pool: Pool) -> None:
    project = await a_project(pool, daily_cap_per_number=1)
    number = a_number()
    claimed = await claim_number(pool, a_request(project), number=number)
    assert (claimed.lead_id, claimed.number) == (None, number)
    with pytest.raises(Refused) as live:
        await claim_number(pool, a_request(project), number=number)
    assert live.value.error_id == "number_live"
    (finished,) = await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome="busy", ended_at=NOON)])
    assert finished.lead_state is None
    with pytest.raises(Refused) as capped:
        await claim_number(pool, a_request(project), number=number)
    assert capped.value.error_id == "daily_cap"


async def test_dialling_a_number_by_hand_finds_its_lead(pool: Pool) -> None:
    project = await a_project(pool)
    number = a_number()
    lead_id = await a_lead(pool, project.id, number=number, state="done", name="李雷")
    claimed = await claim_number(pool, a_request(project), number=number)
    assert (claimed.lead_id, claimed.name) == (lead_id, "李雷")
    assert (await leads.get_lead(pool, lead_id)).state is LeadState.IN_FLIGHT


async def test_a_lead_of_another_project_is_unknown(pool: Pool) -> None:
    project, other = await a_project(pool), await a_project(pool)
    lead_id = await a_lead(pool, other.id)
    with pytest.raises(Missing) as missing:
        await claim_number(pool, a_request(project), lead_id=lead_id)
    assert missing.value.error_id == "lead_unknown"


async def test_a_malformed_claim_is_refused_before_anything_is_written(pool: Pool) -> None:
    project = await a_project(pool)
    (same,) = new_ids(1)
    for request in (
        replace(a_request(project), attempt_ids=()),
        replace(a_request(project, 2), attempt_ids=(same, same)),
    ):
        with pytest.raises(BadInput):
            await claim(pool, request)


async def test_a_project_whose_zone_the_database_does_not_know_is_not_dialled(pool: Pool) -> None:
    project = await a_project(pool)
    await a_lead(pool, project.id)
    await pool.execute("update projects set zone = 'Mars/Olympus'")
    with pytest.raises(NotEvaluable):
        await claim(pool, a_request(project))
    assert await pool.fetchval("select count(*) from attempts") == 0


async def test_a_repeated_claim_with_the_same_ids_changes_nothing(pool: Pool) -> None:
    """The answer was lost and somebody asks again in spite of the rule: the key of the attempt refuses it."""
    project = await a_project(pool)
    await a_lead(pool, project.id)
    second = await a_lead(pool, project.id)
    request = a_request(project)
    await claim(pool, request)
    with pytest.raises(Exception, match="duplicate key"):
        await claim(pool, request)
    assert (await leads.get_lead(pool, second)).state is LeadState.NEW


async def test_every_write_of_a_claim_is_there_or_none(pool: Pool) -> None:
    project = await a_project(pool)
    await a_lead(pool, project.id)
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert len(await claim(conn, a_request(project))) == 1
        await transaction.rollback()
    for table in ("attempts", "live_attempts", "callees"):
        assert await pool.fetchval(f"select count(*) from {table}") == 0
    assert (await projects.lead_counts(pool, project.id, NOON))["dialable_now"] == 1


async def test_an_engine_that_does_not_hold_the_node_gets_nothing(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id)
    holder, other = uuid4(), uuid4()
    hold = "update nodes set holder = $1, lease_until = clock_timestamp() + $2::interval where name = $3"
    request = a_request(project)
    for owner, lease in ((other, timedelta(minutes=1)), (holder, timedelta(seconds=-1))):
        await pool.execute(hold, owner, lease, request.node)
        assert await claim(pool, replace(request, holder=holder)) == []
        with pytest.raises(Refused) as refused:
            await claim_number(pool, replace(request, holder=holder), lead_id=lead_id)
        assert refused.value.error_id == "node_lost"
    await pool.execute(hold, holder, timedelta(minutes=1), request.node)
    assert [one.lead_id for one in await claim(pool, replace(request, holder=holder))] == [lead_id]

"""Promises for people with several numbers: they are tried in their order, while nobody answers, and none of them that must not be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from campaigns import do_not_call
from campaigns.claim import claim
from campaigns.do_not_call import Reach
from campaigns.leads import get_lead
from campaigns.numbers import NumberKind
from campaigns.projects import Project
from campaigns.release import EndedAttempt, finish
from campaigns.retry import RetryRule
from campaigns.retry import save as save_rules
from campaigns.sql import Pool
from campaigns.states import LeadState
from campaigns.supply.next_numbers import next_numbers
from campaigns.supply.ordering import Ordering
from campaigns.supply.sifting import sift
from campaigns.supply.supplies import set_supply
from tests.builders import NOON, a_lead, a_project, a_request

pytestmark = pytest.mark.services
A, B, C = "+8613800000001", "+8613800000002", "+8613800000003"


async def one_call(pool: Pool, project: Project, outcome: str, minute: int) -> str:
    """Claim the only lead, end the call, look for next numbers; gives the number that was called."""
    now = NOON + timedelta(minutes=minute)
    (claimed,) = await claim(pool, a_request(project, 1, now=now))
    await finish(pool, [EndedAttempt(attempt_id=claimed.attempt_id, outcome=outcome, ended_at=now)])
    await next_numbers(pool, now)
    return claimed.number


async def test_numbers_are_tried_in_their_order_until_somebody_answers(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, number=A, other_numbers=[B, C])
    assert [await one_call(pool, project, "vacant", 0), await one_call(pool, project, "connected", 1)] == [A, B]
    lead = await get_lead(pool, lead_id)
    assert (lead.number, lead.state, lead.other_numbers, lead.attempts) == (B, LeadState.DONE, [], 2)
    assert await pool.fetchval("select former_numbers from leads") == [A, C]


async def test_each_number_has_its_own_tries_and_the_person_the_projects_most(pool: Pool) -> None:
    project = await a_project(pool, max_attempts=3, daily_cap_per_number=10)
    await save_rules(pool, project.id, [RetryRule(outcome="busy", retry_after=timedelta(minutes=1), max_times=1)])
    lead_id = await a_lead(pool, project.id, number=A, other_numbers=[B, C])
    called = [await one_call(pool, project, "busy", minute) for minute in (0, 2, 4)]
    assert called == [A, A, B]
    assert (await get_lead(pool, lead_id)).state is LeadState.EXHAUSTED


async def test_a_number_that_is_a_lead_already_or_must_not_be_called_is_passed_over(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, number=A, other_numbers=[B, C, "+8613800000004"])
    await a_lead(pool, project.id, number=B, state="done")
    await pool.execute("insert into do_not_call (number, reason, source) values ($1, 'asked', 'test')", C)
    await one_call(pool, project, "vacant", 0)
    lead = await get_lead(pool, lead_id)
    assert (lead.number, lead.state, lead.other_numbers) == ("+8613800000004", LeadState.RETRY, [])


async def test_an_entry_for_another_client_or_with_an_end_drops_no_number(pool: Pool) -> None:
    project = await a_project(pool, client="a")
    await a_lead(pool, project.id, number=A, other_numbers=[B, C])
    tomorrow = NOON + timedelta(days=1)
    await do_not_call.add(pool, [B], reason="x", source="x", now=NOON, reach=Reach(client="b"))
    await do_not_call.add(pool, [C], reason="x", source="x", now=NOON, reach=Reach(expires_at=tomorrow))
    assert [await one_call(pool, project, "vacant", minute) for minute in (0, 1)] == [A, B]
    assert await claim(pool, a_request(project, now=NOON + timedelta(minutes=2))) == []
    assert [one.number for one in await claim(pool, a_request(project, now=tomorrow))] == [C]


async def test_of_two_people_with_the_same_next_number_one_gets_it(pool: Pool) -> None:
    project = await a_project(pool)
    for number in (A, B):
        await a_lead(pool, project.id, number=number, other_numbers=[C], state="done", last_outcome="vacant")
    assert [await next_numbers(pool, NOON) for _ in range(3)] == [1, 0, 0]
    assert {row["number"] for row in await pool.fetch("select number from leads")} == {C, B}
    assert await pool.fetchval("select count(*) from leads where other_numbers <> '{}'") == 0


async def test_the_zone_goes_with_the_number(pool: Pool) -> None:
    project = await a_project(pool)
    tokyo = await pool.fetchval(
        "insert into places (country, province, city, carrier, zone) values ('JP', '', '', '', 'Asia/Tokyo') returning id"
    )
    table = await pool.fetchval(
        "insert into locality_tables (name, version, in_use) values ('t', '1', true) returning id"
    )
    await pool.execute("insert into locality_blocks values ($1, '+8131234', $2)", table, tokyo)
    lead_id = await a_lead(
        pool,
        project.id,
        number=A,
        other_numbers=["+81312345678"],
        state="exhausted",
        last_outcome="no_answer",
        zone="Asia/Shanghai",
    )
    assert await next_numbers(pool, NOON) == 1
    lead = await get_lead(pool, lead_id)
    assert (lead.number, lead.zone) == ("+81312345678", "Asia/Tokyo")
    assert await pool.fetchval("select region from leads") == "JP"


@pytest.mark.parametrize(("condition", "called"), [("+86138", [A]), ("+86", [A, "+8613912345678"])])
async def test_a_next_number_outside_the_filter_is_not_called(pool: Pool, condition: str, called: list[str]) -> None:
    project = await a_project(pool)
    await a_lead(pool, project.id, number=A, other_numbers=["+8613912345678"])
    wanted = {"field": "number", "op": "starts", "value": condition}
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition=wanted, ordering=Ordering())
        assert await sift(conn, project.id)
    found = [await one_call(pool, project, "vacant", 0)]
    found += [one.number for one in await claim(pool, a_request(project, 1, now=NOON + timedelta(minutes=1)))]
    assert found == called


async def test_a_lead_that_was_held_when_it_ended_is_called_again_once_its_number_is_within_the_filter(
    pool: Pool,
) -> None:
    project = await a_project(pool)
    async with pool.acquire() as conn:
        await set_supply(conn, project.id, condition={"field": "number", "op": "=", "value": B}, ordering=Ordering())
        assert await sift(conn, project.id)
    await a_lead(pool, project.id, number=A, other_numbers=[B], state="done", last_outcome="vacant", held=True)
    assert await next_numbers(pool, NOON) == 1
    assert [one.number for one in await claim(pool, a_request(project, 1))] == [B]


async def test_the_kind_goes_with_the_number_and_a_filter_for_mobiles_takes_no_fixed_line(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await a_lead(pool, project.id, number=A, kind="mobile", other_numbers=["+861088886666"])
    async with pool.acquire() as conn:
        await set_supply(
            conn, project.id, condition={"field": "kind", "op": "=", "value": "mobile"}, ordering=Ordering()
        )
        assert await sift(conn, project.id)
    assert await one_call(pool, project, "vacant", 0) == A
    assert (await get_lead(pool, lead_id)).kind is NumberKind.FIXED
    assert await claim(pool, a_request(project, 1, now=NOON + timedelta(minutes=1))) == []

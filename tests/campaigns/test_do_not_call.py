"""Promises about entries: a later, longer word always counts; lifting one lifts one; an end is an end; what was lifted can be called again by a decision."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from campaigns import do_not_call, leads
from campaigns.claim import claim
from campaigns.do_not_call import EVERYBODY, Reach
from campaigns.leads import get_lead
from campaigns.locality.place import block_of
from campaigns.locality.tables import books, know_blocks
from campaigns.release import EndedAttempt, WrapUp, finish, wrap_up
from campaigns.sql import Pool
from campaigns.states import LeadState
from tests.builders import NOON, a_lead, a_number, a_project, a_request, an_attempt
from tests.campaigns.test_callbacks import free

pytestmark = pytest.mark.services
DAY: Final = timedelta(days=1)


async def enter(pool: Pool, number: str, reach: Reach = EVERYBODY, *, now: datetime = NOON, reason: str = "x") -> int:
    """An entry by hand."""
    return await do_not_call.add(pool, [number], reason=reason, source="test", now=now, reach=reach)


async def test_a_refusal_counts_although_an_entry_that_has_ended_is_there(pool: Pool) -> None:
    project, other, number = await a_project(pool), await a_project(pool), a_number()
    await enter(pool, number, Reach(expires_at=NOON - DAY), now=NOON - 10 * DAY)
    attempt = await an_attempt(pool, project, await a_lead(pool, project.id, number=number))
    await wrap_up(pool, WrapUp(attempt_id=attempt.attempt_id, disposition="do_not_call", now=NOON))
    (entry,) = await do_not_call.standing(pool, number, now=NOON)
    assert (entry.reason, entry.created_at, entry.expires_at) == ("do_not_call", NOON, None)
    await a_lead(pool, other.id, number=number)
    await finish(pool, [EndedAttempt(attempt_id=attempt.attempt_id, outcome="connected", ended_at=NOON)])
    assert await claim(pool, a_request(other, now=NOON + DAY)) == []


@pytest.mark.parametrize("ends_in", [-1, 1])
async def test_never_takes_the_place_of_until_friday(pool: Pool, ends_in: int) -> None:
    number = a_number()
    await enter(pool, number, Reach(expires_at=NOON + ends_in * DAY), now=NOON - 9 * DAY, reason="until Friday")
    assert await enter(pool, number, reason="never") == 1
    (entry,) = await do_not_call.standing(pool, number, now=NOON + 99 * DAY)
    assert (entry.reason, entry.created_at, entry.expires_at) == ("never", NOON, None)


async def test_a_shorter_word_changes_nothing(pool: Pool) -> None:
    number = a_number()
    await enter(pool, number, Reach(guarded_until=NOON + 9 * DAY), reason="never")
    assert await enter(pool, number, Reach(expires_at=NOON + DAY, guarded_until=NOON + DAY), reason="briefly") == 0
    (entry,) = await do_not_call.standing(pool, number, now=NOON)
    assert (entry.reason, entry.expires_at, entry.guarded_until) == ("never", None, NOON + 9 * DAY)
    assert await enter(pool, number, Reach(expires_at=NOON + DAY, guarded_until=NOON + 10 * DAY)) == 1
    (entry,) = await do_not_call.standing(pool, number, now=NOON)
    assert (entry.expires_at, entry.guarded_until) == (None, NOON + 10 * DAY)


async def test_an_area_that_has_ended_is_entered_again(pool: Pool) -> None:
    at = NOON - 9 * DAY
    await do_not_call.add_area(pool, "prefix", "+86139", reason="x", now=at, reach=Reach(expires_at=NOON - DAY))
    assert await do_not_call.standing(pool, "+8613900000001", now=NOON) == []
    assert await do_not_call.add_area(pool, "prefix", "+86139", reason="again", now=NOON)
    (entry,) = await do_not_call.standing(pool, "+8613900000001", now=NOON)
    assert (entry.what, entry.reason) == ("prefix +86139", "again")


async def test_lifting_an_entry_lifts_that_of_its_reach_and_no_other(pool: Pool) -> None:
    project, number = await a_project(pool), a_number()
    for reach in (EVERYBODY, Reach(client="a"), Reach(client="b"), Reach(project_id=project.id)):
        await enter(pool, number, reach)
    assert await do_not_call.remove(pool, number, now=NOON, client="a")
    assert not await do_not_call.remove(pool, number, now=NOON, client="a")
    assert await do_not_call.remove(pool, number, now=NOON, project_id=project.id)
    assert [one.client for one in await do_not_call.standing(pool, number, now=NOON)] == [None, "b"]
    assert await do_not_call.remove(pool, number, now=NOON)
    assert [one.client for one in await do_not_call.standing(pool, number, now=NOON)] == ["b"]


async def test_lifting_an_area_lifts_that_of_its_reach_and_no_other(pool: Pool) -> None:
    for reach in (EVERYBODY, Reach(client="a")):
        await do_not_call.add_area(pool, "prefix", "+86139", reason="x", now=NOON, reach=reach)
    assert await do_not_call.remove_area(pool, "prefix", "+86139")
    assert not await do_not_call.remove_area(pool, "prefix", "+86139")
    assert [one.client for one in await do_not_call.standing(pool, "+8613900000001", now=NOON)] == ["a"]


async def test_a_number_is_found_by_the_region_it_is_at_home_in(pool: Pool) -> None:
    await know_blocks(pool, await books(pool), [block_of("+862162345678"), block_of("+442079460000")])
    await do_not_call.add_area(pool, "region", "上海", reason="x", now=NOON)
    assert await do_not_call.standing(pool, "+442079460000", now=NOON) == []
    assert [one.what for one in await do_not_call.standing(pool, "+862162345678", now=NOON)] == ["region 上海"]


@pytest.mark.parametrize("by", ["number", "prefix"])
async def test_an_entry_with_an_end_keeps_leads_waiting_until_then(pool: Pool, by: str) -> None:
    project, number, end = await a_project(pool), a_number(), NOON + timedelta(hours=2)
    lead_id = await a_lead(pool, project.id, number=number)
    if by == "number":
        await enter(pool, number, Reach(expires_at=end))
    else:
        await do_not_call.add_area(pool, "prefix", number, reason="x", now=NOON, reach=Reach(expires_at=end))
    assert await claim(pool, a_request(project)) == []
    lead = await get_lead(pool, lead_id)
    assert (lead.state, lead.next_at) == (LeadState.NEW, end)
    assert [one.lead_id for one in await claim(pool, a_request(project, now=end))] == [lead_id]


async def test_a_promise_under_an_entry_with_an_end_is_kept_after_it(pool: Pool) -> None:
    project, number, end = await a_project(pool), a_number(), NOON + timedelta(hours=2)
    lead_id = await a_lead(pool, project.id, number=number, state="callback", next_at=NOON)
    await enter(pool, number, Reach(expires_at=end))
    assert await free(pool, project) == []
    lead = await get_lead(pool, lead_id)
    assert (lead.state, lead.next_at) == (LeadState.CALLBACK, end)


async def test_a_call_that_ends_under_an_entry_with_an_end_is_tried_again_after_it(pool: Pool) -> None:
    project, number = await a_project(pool), a_number()
    attempt = await an_attempt(pool, project, await a_lead(pool, project.id, number=number))
    await enter(pool, number, Reach(expires_at=NOON + 3 * DAY))
    (ended,) = await finish(pool, [EndedAttempt(attempt_id=attempt.attempt_id, outcome="busy", ended_at=NOON)])
    assert ended.lead_state is LeadState.RETRY
    assert await claim(pool, a_request(project, now=NOON + 2 * DAY)) == []
    assert len(await claim(pool, a_request(project, now=NOON + 3 * DAY))) == 1


async def test_who_waited_for_the_end_of_an_entry_is_due_when_it_is_lifted(pool: Pool) -> None:
    project, number = await a_project(pool), a_number()
    await a_lead(pool, project.id, number=number)
    await enter(pool, number, Reach(expires_at=NOON + 9 * DAY))
    assert await claim(pool, a_request(project)) == []
    assert await do_not_call.remove(pool, number, now=NOON)
    assert len(await claim(pool, a_request(project))) == 1


async def test_a_lead_comes_with_an_entry_that_ends_and_waits(pool: Pool) -> None:
    project, number = await a_project(pool), a_number()
    await do_not_call.add(pool, [number], reason="x", source="x", now=NOON, reach=Reach(expires_at=NOON + DAY))
    lead_id = await leads.add_lead(pool, project_id=project.id, number=number)
    assert (await get_lead(pool, lead_id)).state is LeadState.NEW


async def test_lifted_numbers_are_brought_back_by_a_decision_and_listed_ones_are_not(pool: Pool) -> None:
    project, lifted, listed = await a_project(pool), a_number(), a_number()
    lead_id, other = [await a_lead(pool, project.id, number=number) for number in (lifted, listed)]
    for number in (lifted, listed):
        await enter(pool, number)
    await do_not_call.remove(pool, lifted, now=NOON)
    assert (await get_lead(pool, lead_id)).state is LeadState.DO_NOT_CALL
    async with pool.acquire() as conn, conn.transaction():
        assert await do_not_call.bring_back(conn, project.id, [lifted, listed], now=NOON) == 1
    assert (await get_lead(pool, lead_id)).state is LeadState.NEW
    assert (await get_lead(pool, other)).state is LeadState.DO_NOT_CALL
    assert [one.lead_id for one in await claim(pool, a_request(project, count=2))] == [lead_id]

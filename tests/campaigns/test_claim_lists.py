"""Do-not-call entries in the claim: whom they reach, how long they hold, when they may be lifted; and lists that are loaded as a whole."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns import consents, do_not_call, do_not_call_lists, gates, leads, projects
from campaigns.do_not_call import Reach
from campaigns.errors import BadInput, Conflict, Missing, Refused
from campaigns.rule_packs import PackRef, choose
from campaigns.sql import Pool
from campaigns.states import LeadState
from tests.builders import NOON, a_lead, a_number, a_project
from tests.campaigns.test_claim_rules import refusal

pytestmark = pytest.mark.services
HEAD = """
pack = "{name}"
version = "1"
jurisdiction = "XX"
title_en = "x"
title_zh = "x"
remark_en = "x"
remark_zh = "x"
"""
_TESTS = {
    "frequency": '{ allowed = true, at = 2026-06-01T04:00:00Z }, { allowed = false, at = 2026-06-01T04:00:00Z, before = ["PT1S", "PT2S", "PT3S"] }',
    "abandonment": "{ allowed = true, at = 2026-06-01T04:00:00Z, answered = 100, abandoned = 1 }, { allowed = false, at = 2026-06-01T04:00:00Z, answered = 10, abandoned = 9 }",
    "attempts": "{ allowed = true, at = 2026-06-01T04:00:00Z }, { allowed = false, at = 2026-06-01T04:00:00Z, attempts = 50 }",
    "consent": "{ allowed = true, at = 2026-06-01T04:00:00Z, consent = true }, { allowed = false, at = 2026-06-01T04:00:00Z }",
    "blind_region": '{ allowed = true, at = 2026-06-01T04:00:00Z, number = "+12025550123" }, { allowed = false, at = 2026-06-01T04:00:00Z, number = "+8613900000000", region = "西藏" }',
    "window": '{ allowed = true, at = 2026-06-01T04:00:00Z, zone = "Asia/Shanghai" }, { allowed = false, at = 2026-06-01T20:00:00Z, zone = "Asia/Shanghai" }',
}  # fmt: skip


async def test_do_not_call_entries_reach_everybody_a_client_a_project_a_prefix_or_a_region_until_they_end(
    pool: Pool,
) -> None:
    acme, same, other = [await a_project(pool, client=client) for client in ("acme", "acme", "other")]
    by_client, by_project, by_prefix, by_region, ended = (a_number() for _ in range(5))
    add: dict[str, Any] = {"reason": "asked", "source": "test", "now": NOON}
    later = NOON + timedelta(days=1)
    await do_not_call.add(pool, [by_client], reach=Reach(client="acme"), **add)
    await do_not_call.add(pool, [by_project], reach=Reach(project_id=same.id), **add)
    await do_not_call.add(pool, [ended], reach=Reach(expires_at=later), **add)
    assert await do_not_call.add_area(pool, "prefix", by_prefix, reason="asked", now=NOON, reach=Reach(client="acme"))
    assert not await do_not_call.add_area(
        pool, "prefix", by_prefix, reason="again", now=NOON, reach=Reach(client="acme")
    )

    async def refused_by(number: str, at: datetime = NOON) -> list[bool]:
        said = []
        for project in (acme, same, other):
            said.append(await refusal(pool, project, at, number=number) == "do_not_call")
            await pool.execute("delete from live_attempts")
        return said

    assert await refused_by(by_client) == [True, True, False]
    assert await refused_by(by_project) == [False, True, False]
    assert await refused_by(by_prefix) == [True, True, False]
    assert await refused_by(ended) == [True, True, True]
    assert await refused_by(ended, later) == [False, False, False]
    await do_not_call.add_area(pool, "region", "西藏", reason="x", now=NOON, reach=Reach(project_id=other.id))
    inside = await a_lead(pool, other.id, number=by_region, region="西藏")
    unknown = await a_lead(pool, other.id)
    assert await refusal(pool, other, NOON, lead_id=inside) == "do_not_call"
    assert await refusal(pool, other, NOON, lead_id=unknown) == "region_unknown"
    assert await do_not_call.remove_area(pool, "region", "西藏", project_id=other.id)
    assert await refusal(pool, other, NOON, lead_id=inside) is None


async def test_an_entry_for_one_client_leaves_the_lists_of_the_others(pool: Pool) -> None:
    acme, other = [await a_project(pool, client=client) for client in ("acme", "other")]
    number = a_number()
    ours, theirs = [await a_lead(pool, project.id, number=number) for project in (acme, other)]
    await do_not_call.add(pool, [number], reason="x", source="test", now=NOON, reach=Reach(client="acme"))
    assert (await leads.get_lead(pool, ours)).state is LeadState.DO_NOT_CALL
    assert (await leads.get_lead(pool, theirs)).state is LeadState.NEW


async def test_a_guarded_entry_is_lifted_only_in_time_or_by_a_new_consent(pool: Pool) -> None:
    number, consenting = a_number(), a_number()
    guard = Reach(guarded_until=NOON + timedelta(days=180))
    await do_not_call.add(pool, [number, consenting], reason="refused", source="test", now=NOON, reach=guard)
    for one in (number, consenting):
        with pytest.raises(Refused) as refused:
            await do_not_call.remove(pool, one, now=NOON + timedelta(days=179))
        assert refused.value.error_id == "do_not_call_guarded"
    after = NOON + timedelta(days=2)
    await consents.grant(pool, consenting, scope="marketing", evidence="letter", granted_at=after, now=after)
    assert await do_not_call.remove(pool, consenting, now=after)
    assert await do_not_call.remove(pool, number, now=NOON + timedelta(days=180))
    assert not await do_not_call.standing(pool, number, now=NOON)


async def test_a_list_is_loaded_as_a_whole_and_its_age_opens_the_gate(pool: Pool) -> None:
    async def numbers(*given: str) -> Any:
        for number in given:
            yield number

    one, two, own = a_number(), a_number(), a_number()
    await do_not_call.add(pool, [own], reason="asked", source="test", now=NOON)
    async with pool.acquire() as conn:
        assert (
            await do_not_call_lists.load_list(conn, "us-national-dnc", numbers(one, two, two), source="file", now=NOON)
            == 2
        )
        assert await do_not_call_lists.load_list(conn, "us-national-dnc", numbers(two), source="file", now=NOON) == 1
        with pytest.raises(BadInput):
            await do_not_call_lists.load_list(conn, "us-national-dnc", numbers("12"), source="file", now=NOON)
        with pytest.raises(Conflict):
            await do_not_call_lists.load_list(conn, "own", numbers(), source="file", now=NOON)
        project = await a_project(pool, zone="America/New_York", safe_harbour="acme")
        await choose(conn, project.id, [PackRef(pack="us-telemarketing", version="2026.1")], now=NOON)
    assert await do_not_call.standing(pool, two, now=NOON)
    assert await do_not_call.standing(pool, own, now=NOON)
    assert not await do_not_call.standing(pool, one, now=NOON)
    project = await projects.load_project(pool, project.id)
    assert gates.decide(project, NOON + timedelta(days=31)).allowed
    late = gates.decide(project, NOON + timedelta(days=32))
    assert late.gate is gates.Gate.NOT_EVALUABLE
    assert late.rule is not None
    assert late.rule.line.id == "national-registry"


async def test_an_entry_for_a_project_that_is_not_there_is_refused(pool: Pool) -> None:
    with pytest.raises(Missing):
        await do_not_call.add(pool, [a_number()], reason="x", source="x", now=NOON, reach=Reach(project_id=UUID(int=1)))
    both = Reach(project_id=UUID(int=1), client="acme")
    with pytest.raises(BadInput) as refused:
        await do_not_call.add(pool, [a_number()], reason="x", source="x", now=NOON, reach=both)
    assert refused.value.error_id == "reach_malformed"

"""Promises of preview: a lead that is shown is kept for its agent, skips keep to the project's rules, nothing is lost whatever dies."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from campaigns import do_not_call, gates, projects
from campaigns.claim import claim, claim_number
from campaigns.errors import BadInput, Refused
from campaigns.leads import get_lead
from campaigns.preview import Previewed, PreviewLead, give_back, hold_for_preview, pass_on, previewed
from campaigns.projects import Project
from campaigns.sql import Connection, Pool
from campaigns.states import AtPreviewLimit, DialMode, LeadState, PreviewPass
from tests.builders import NOON, a_lead, a_number, a_project, a_request, an_agent
from tests.campaigns.test_claim_rules import a_rule, under

pytestmark = pytest.mark.services

CONSENT = (
    "insert into consents (number, scope, granted_at, created_at, evidence) values ($1, 'marketing', $2, $2, 'form')"
)
CALLED = "insert into callees values ($1, array[$2::timestamptz], array[gen_random_uuid()], array[''], array[null::timestamptz], array[null::timestamptz])"
MANY = "insert into leads (project_id, number) select $1, '+86137' || lpad(n::text, 8, '0') from generate_series($2::integer, $3::integer) n"
READ = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'leads'"


async def show(pool: Pool, project: Project, agent_id: UUID, now: datetime = NOON) -> PreviewLead:
    """The lead this agent is shown."""
    lead = await hold(pool, project, agent_id, now)
    assert lead is not None
    return lead


async def hold(pool: Connection, project: Project, agent_id: UUID, now: datetime = NOON) -> PreviewLead | None:
    until = now + timedelta(minutes=1)
    openings = gates.openings(project, now)
    return await hold_for_preview(
        pool, project_id=project.id, agent_id=agent_id, now=now, until=until, openings=openings
    )


async def skip(pool: Pool, lead: PreviewLead, now: datetime = NOON, reason: str = "no time") -> None:
    await pass_on(pool, lead, PreviewPass.SKIPPED, now=now, reason=reason)


async def test_a_previewed_lead_is_kept_for_its_agent_and_comes_back_by_itself(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id, agent_id = await a_lead(pool, project.id), await an_agent(pool)
    assert (await show(pool, project, agent_id)).lead_id == lead_id
    assert await hold(pool, project, await an_agent(pool)) is None
    assert await claim(pool, a_request(project)) == []
    assert len(await claim(pool, a_request(project, now=NOON + timedelta(minutes=1)))) == 1


async def test_a_held_lead_can_be_dialled_or_given_back_to_its_place(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id, agent_id = await a_lead(pool, project.id), await an_agent(pool)
    for _ in range(2):
        await give_back(pool, await show(pool, project, agent_id))
        assert (await get_lead(pool, lead_id)).next_at is None
    shown = await show(pool, project, agent_id)
    assert (await claim_number(pool, a_request(project), lead_id=shown.lead_id)).lead_id == lead_id
    await give_back(pool, shown)
    assert (await get_lead(pool, lead_id)).state is LeadState.IN_FLIGHT


@pytest.mark.parametrize(("how", "reason"), [(PreviewPass.SKIPPED, "wrong name"), (PreviewPass.LAPSED, "")])
async def test_a_lead_passed_on_rests_and_comes_to_others_before_the_same_agent(
    pool: Pool, how: PreviewPass, reason: str
) -> None:
    project = await a_project(pool, preview_skip_wait_s=300, preview_same_agent_wait_s=3600)
    lead_id, agent_id, other = await a_lead(pool, project.id), await an_agent(pool), await an_agent(pool)
    await pass_on(pool, await show(pool, project, agent_id), how, now=NOON, reason=reason)
    assert await hold(pool, project, other, NOON + timedelta(seconds=299)) is None
    assert await hold(pool, project, agent_id, NOON + timedelta(seconds=301)) is None
    seen = await show(pool, project, other, NOON + timedelta(seconds=301))
    assert seen.lead_id == lead_id
    await give_back(pool, seen)
    assert (await show(pool, project, agent_id, NOON + timedelta(seconds=3601))).lead_id == lead_id


async def test_a_lead_left_for_a_break_goes_back_to_its_place_at_once(pool: Pool) -> None:
    project = await a_project(pool)
    due = NOON - timedelta(hours=1)
    lead_id, agent_id = await a_lead(pool, project.id, state="retry", next_at=due), await an_agent(pool)
    await pass_on(pool, await show(pool, project, agent_id), PreviewPass.LEFT, now=NOON)
    assert (await get_lead(pool, lead_id)).next_at == due
    assert (await show(pool, project, agent_id)).lead_id == lead_id


async def test_an_agent_skips_no_more_leads_in_an_hour_than_the_project_allows(pool: Pool) -> None:
    project = await a_project(pool, preview_skips_per_hour=2)
    agent_id, other = await an_agent(pool), await an_agent(pool)
    for _ in range(5):
        await a_lead(pool, project.id)
    left = []
    for minute in (0, 10):
        lead = await show(pool, project, agent_id, NOON + timedelta(minutes=minute))
        left.append(lead.skips_left)
        await skip(pool, lead, NOON + timedelta(minutes=minute))
    third = await show(pool, project, agent_id, NOON + timedelta(minutes=20))
    with pytest.raises(Refused) as refused:
        await skip(pool, third, NOON + timedelta(minutes=20))
    assert (refused.value.error_id, left, third.skips_left) == ("skips_used_up", [2, 1], 0)
    assert (await get_lead(pool, third.lead_id)).next_at == third.held_until, "the lead stays shown"
    await skip(pool, await show(pool, project, other, NOON + timedelta(minutes=20)), NOON + timedelta(minutes=20))
    await skip(pool, third, NOON + timedelta(minutes=61))


async def test_a_lead_is_skipped_no_more_often_than_the_project_allows(pool: Pool) -> None:
    project = await a_project(pool, preview_skips_per_lead=2, preview_skip_wait_s=0)
    await a_lead(pool, project.id)
    for minute in range(2):
        now = NOON + timedelta(minutes=minute)
        await skip(pool, await show(pool, project, await an_agent(pool), now), now)
    now = NOON + timedelta(minutes=3)
    shown = await show(pool, project, await an_agent(pool), now)
    with pytest.raises(Refused) as refused:
        await skip(pool, shown, now)
    assert (refused.value.error_id, shown.skips_left) == ("lead_not_skippable", 0)
    await pass_on(pool, shown, PreviewPass.LAPSED, now=now)


async def test_a_lead_that_has_moved_on_is_not_moved_by_a_late_pass(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id, agent_id = await a_lead(pool, project.id), await an_agent(pool)
    shown = await show(pool, project, agent_id)
    await claim_number(pool, a_request(project), lead_id=lead_id)
    await pass_on(pool, shown, PreviewPass.LAPSED, now=NOON)
    assert (await get_lead(pool, lead_id)).state is LeadState.IN_FLIGHT


async def test_previews_are_counted_agent_by_agent_with_the_reasons(pool: Pool) -> None:
    project, other = await a_project(pool), await a_project(pool)
    first, second = await an_agent(pool), await an_agent(pool)
    for _ in range(6):
        await a_lead(pool, project.id)
    await a_lead(pool, other.id)
    for reason in ("no time", "no time", "wrong name"):
        await skip(pool, await show(pool, project, first), reason=reason)
    await pass_on(pool, await show(pool, project, second), PreviewPass.LAPSED, now=NOON)
    shown = await show(pool, project, second)
    await claim_number(pool, a_request(project, mode=DialMode.PREVIEW, agent_id=second), lead_id=shown.lead_id)
    await skip(pool, await show(pool, other, first))
    found = await previewed(pool, project.id, NOON - timedelta(hours=1), NOON + timedelta(hours=1))
    assert {one.agent_id: one for one in found} == {
        first: Previewed(
            agent_id=first, dialled=0, skipped=3, lapsed=0, left=0, reasons={"no time": 2, "wrong name": 1}
        ),
        second: Previewed(agent_id=second, dialled=1, skipped=0, lapsed=1, left=0, reasons={}),
    }
    assert await previewed(pool, project.id, NOON + timedelta(seconds=1), None) == []


async def test_a_lead_that_may_not_be_dialled_is_not_shown_and_does_not_stay_at_the_front(pool: Pool) -> None:
    project = await a_project(pool, mode=DialMode.PREVIEW, daily_cap_per_number=1)
    project = await under(pool, project, a_rule("consent", scope="marketing"), a_rule("blind_region", regions=["西藏"]))
    listed, capped, allowed = a_number(), a_number(), a_number()
    for number in (listed, capped, allowed):
        await pool.execute(CONSENT, number, NOON)
    async with pool.acquire() as conn:
        await do_not_call.add(conn, [listed], reason="asked", source="test", now=NOON)
    await pool.execute(CALLED, capped, NOON)
    place: dict[str, Any] = {"region": "江苏", "zone": "Asia/Shanghai"}
    aside = {
        "without consent": await a_lead(pool, project.id, **place),
        "blind region": await a_lead(pool, project.id, region="西藏", zone="Asia/Shanghai"),
        "listed": await a_lead(pool, project.id, number=listed, **place),
        "capped": await a_lead(pool, project.id, number=capped, **place),
    }
    best = await a_lead(pool, project.id, number=allowed, **place)
    agent_id = await an_agent(pool)
    assert (await show(pool, project, agent_id)).lead_id == best
    assert await hold(pool, project, agent_id) is None
    moved = {why: await get_lead(pool, lead_id) for why, lead_id in aside.items()}
    assert moved["listed"].state is LeadState.DO_NOT_CALL
    assert all(lead.next_at is not None and lead.next_at > NOON for why, lead in moved.items() if why != "listed")


async def test_many_leads_that_may_not_be_dialled_do_not_hide_the_one_behind_them(pool: Pool) -> None:
    project = await under(pool, await a_project(pool, mode=DialMode.PREVIEW), a_rule("consent", scope="marketing"))
    for _ in range(70):
        await a_lead(pool, project.id)
    number = a_number()
    await pool.execute(CONSENT, number, NOON)
    behind = await a_lead(pool, project.id, number=number)
    assert (await show(pool, project, await an_agent(pool))).lead_id == behind


async def test_a_lead_whose_zone_sleeps_is_not_shown_and_keeps_its_place(pool: Pool) -> None:
    rule = a_rule("window", days=["mon", "tue"], open=["09:00-20:00"], unknown_zone="refuse")
    project = await under(pool, await a_project(pool, mode=DialMode.PREVIEW), rule)
    asleep = await a_lead(pool, project.id, zone="America/New_York")
    awake = await a_lead(pool, project.id, zone="Asia/Shanghai")
    agent_id = await an_agent(pool)
    assert (await show(pool, project, agent_id)).lead_id == awake
    assert await hold(pool, project, agent_id) is None
    assert (await get_lead(pool, asleep)).next_at is None


async def test_what_a_preview_reads_does_not_grow_with_the_list(pool: Pool) -> None:
    project, agent_id = await a_project(pool, mode=DialMode.PREVIEW), await an_agent(pool)
    looked_at = []
    for first, last in ((1, 1_000), (1_001, 50_000)):
        await pool.execute(MANY, project.id, first, last)
        await pool.execute("analyze leads")
        async with pool.acquire() as conn, conn.transaction():
            assert await hold(conn, project, agent_id) is not None
            looked_at.append(await conn.fetchval(READ))
    assert 0 < looked_at[1] < 2 * looked_at[0] + 50


@pytest.mark.parametrize(
    "setting",
    [
        {"preview_at_limit": "guess"},
        {"preview_skips_per_hour": -1},
        {"preview_skips_per_lead": 101},
        {"preview_skip_wait_s": 604_801},
        {"preview_same_agent_wait_s": -1},
    ],
)
async def test_a_rule_outside_its_range_is_refused(pool: Pool, setting: dict[str, Any]) -> None:
    project = await a_project(pool)
    with pytest.raises(BadInput) as refused:
        await projects.update_project(pool, project.id, **setting)
    assert refused.value.error_id == "project_setting_invalid"
    assert (await projects.load_project(pool, project.id)).preview_at_limit is AtPreviewLimit.GIVE_BACK

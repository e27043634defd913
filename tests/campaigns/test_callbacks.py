"""Promises of callbacks: each line begins at its oldest whatever waits in the others, and what may not be dialled is put off as the claim would put it off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from campaigns import callbacks, do_not_call, gates
from campaigns.callbacks import Callback, due_callbacks, put_off
from campaigns.leads import get_lead
from campaigns.projects import Project
from campaigns.sql import Pool
from campaigns.states import DialMode, LeadState
from tests.builders import NODE, NOON, a_lead, a_node, a_project, an_agent, an_attempt
from tests.campaigns.test_claim_rules import a_rule, under

pytestmark = pytest.mark.services


async def promised(pool: Pool, project: Project, agent_id: UUID | None = None, **columns: Any) -> int:
    given = {"state": "callback", "next_at": NOON, "callback_agent_id": agent_id} | columns
    return await a_lead(pool, project.id, **given)


async def free(
    pool: Pool, project: Project, *, at: datetime = NOON, holder: UUID | None = None, mode: DialMode | None = None
) -> Sequence[Callback]:
    """What may be dialled of the shared callbacks that are due; the others are put off."""
    due = await due_callbacks(pool, lines=[(project.id, None)], now=at)
    openings = gates.openings(project, at)
    return await put_off(
        pool, due, project_id=project.id, mode=mode or project.mode, openings=openings, node=NODE, holder=holder, now=at
    )


async def test_every_line_begins_at_its_oldest_and_reads_nothing_of_the_others(pool: Pool) -> None:
    project = await a_project(pool)
    away, here = [await an_agent(pool, projects=[project.id]) for _ in range(2)]
    await pool.execute(
        "insert into leads (project_id, number, state, next_at, callback_agent_id)"
        " select $1, '+86' || (13000000000 + i), 'callback', $2::timestamptz - make_interval(secs => i), $3 from generate_series(1, 20000) i",
        project.id,
        NOON,
        away,
    )
    mine = [await promised(pool, project, here, next_at=NOON - timedelta(minutes=n)) for n in range(7)]
    shared = await promised(pool, project)
    await pool.execute("vacuum analyze leads")
    due = await due_callbacks(pool, lines=[(project.id, here), (project.id, None)], now=NOON)
    assert [one.lead_id for one in due] == [*mine[:1:-1], shared]
    plan = await pool.fetch(
        f"explain (analyze, buffers) {callbacks._DUE}", [project.id] * 2, [here, UUID(int=0)], [5, 50], NOON
    )
    text = "\n".join(row[0] for row in plan)
    assert "leads_callback_lines" in text
    assert "Rows Removed" not in text


async def test_what_may_not_be_dialled_is_put_off_as_the_claim_puts_it_off(pool: Pool) -> None:
    project = await under(pool, await a_project(pool, daily_cap_per_number=1), a_rule("consent", scope="marketing"))
    stranger, alive, listed, capped, good = [await promised(pool, project) for _ in range(5)]
    numbers = {one: (await get_lead(pool, one)).number for one in (alive, listed, capped, good)}
    await pool.execute(
        "insert into consents (number, scope, evidence, granted_at, created_at) select n, 'marketing', 'x', $2, $2 from unnest($1::text[]) n",
        list(numbers.values()),
        NOON - timedelta(days=1),
    )
    other = await a_project(pool)
    await an_attempt(pool, other, await a_lead(pool, other.id, number=numbers[alive]), now=NOON - timedelta(days=2))
    await pool.execute("insert into do_not_call_areas (kind, value, reason, created_at) values ('prefix', $1, 'x', $2)", numbers[listed], NOON)  # fmt: skip
    await pool.execute(
        "insert into callees values ($1, array[$2::timestamptz], array[$3::uuid], array[''], array[null::timestamptz], array[null::timestamptz])",
        numbers[capped],
        NOON - timedelta(hours=1),
        project.id,
    )
    assert [one.lead_id for one in await free(pool, project)] == [good]
    found = {one: await get_lead(pool, one) for one in (stranger, alive, listed, capped, good)}
    assert {one: lead.next_at for one, lead in found.items() if lead.state is LeadState.CALLBACK} == {
        stranger: NOON + timedelta(hours=1),
        alive: NOON + timedelta(minutes=1),
        capped: NOON + timedelta(hours=12),
        good: NOON,
    }
    assert found[listed].state is LeadState.DO_NOT_CALL


async def test_a_callback_to_a_sleeping_zone_waits_for_its_window(pool: Pool) -> None:
    rule = a_rule("window", days=["mon", "tue", "wed", "thu", "fri"], open=["09:00-20:00"])
    project = await under(pool, await a_project(pool), rule)
    asleep = await promised(pool, project, zone="America/New_York")
    awake = await promised(pool, project, zone="Asia/Shanghai")
    assert [one.lead_id for one in await free(pool, project)] == [awake]
    assert (await get_lead(pool, asleep)).next_at == NOON + timedelta(hours=9)


async def test_an_engine_that_lost_its_node_and_a_paused_project_put_nothing_off_and_dial_nothing(pool: Pool) -> None:
    project = await a_project(pool)
    lead_id = await promised(pool, project)
    async with pool.acquire() as conn:
        await do_not_call.add_area(conn, "prefix", (await get_lead(pool, lead_id)).number, reason="x", now=NOON)
    await a_node(pool)
    assert await free(pool, project, holder=uuid4()) == []
    await pool.execute("update projects set state = 'paused'")
    assert await free(pool, project) == []
    assert (await get_lead(pool, lead_id)).state is LeadState.CALLBACK

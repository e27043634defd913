"""What rule packs say of abandoned calls binds the pacer, whatever the project's own settings are, in the period that each line names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from campaigns.abandonment import agent_wait_ms
from campaigns.claim import claim
from campaigns.projects import Project, load_project
from campaigns.rule_packs import choose
from dialer.db.abandonment import budget_of_project, budgets_of_project, contracts_of, strictest
from dialer.domain.pacing import Limit, Mode
from dialer.domain.pacing.contract import Period, Standing
from dialer.engine.floor import Call
from dialer.engine.sending import originate
from tests.builders import NOON, a_lead, a_project, a_request
from tests.campaigns.test_abandonment import a_share
from tests.campaigns.test_claim_rules import under
from tests.integration.engine.conftest import Stage
from tests.integration.engine.test_abandonment import books, ended_calls

pytestmark = pytest.mark.services

LAX: dict[str, Any] = {"abandonment_cap": "1", "abandonment_within_ms": 10_000, "abandonment_counts_late": False}


async def bound(pool: asyncpg.Pool, *lines: str, **settings: Any) -> Project:
    """A project that asks for next to nothing, under these lines."""
    return await under(pool, await a_project(pool, **LAX, **settings), *(lines or (a_share(),)))


async def test_a_pack_binds_the_contract_of_a_project_that_allows_itself_everything(pool: asyncpg.Pool) -> None:
    project = await bound(pool)
    await ended_calls(pool, project, 100, 4, NOON - timedelta(hours=1))
    budget = await budget_of_project(pool, project, NOON)
    assert (budget.answered, budget.abandoned, budget.allowed, budget.left) == (100, 4, 3, -1)
    binding = strictest(await budgets_of_project(pool, project, NOON)).contract
    assert (binding.cap, binding.period, binding.agent_within_ds) == (Decimal("0.03"), Period.HOURS_24, 20)
    assert binding.late_counts_as_abandoned
    assert "#abandonment" in binding.rules[0]


async def test_the_stricter_term_of_project_and_pack_holds_in_one_period_and_each_period_is_kept(
    pool: asyncpg.Pool,
) -> None:
    strict = await a_project(pool, abandonment_cap="0.01", abandonment_within_ms=1500, abandonment_counts_machines=True)
    project = await under(pool, strict, a_share(period="day"), a_share(0.05, "30_days", 1))
    of_day, of_month = contracts_of(project, NOON)
    assert (of_day.cap, of_day.agent_within_ds, of_day.machines_count_as_answered) == (Decimal("0.01"), 15, False)
    assert (of_month.period, of_month.cap, of_month.agent_within_ds) == (Period.DAYS_30, Decimal("0.05"), 10)


async def test_the_engine_counts_each_period_of_its_lines_and_the_strictest_binds(pool: asyncpg.Pool) -> None:
    project = await bound(pool, zone="Asia/Shanghai")
    now = datetime(
        2026, 3, 2, 16, 30, tzinfo=UTC
    )  # half past midnight in Shanghai: the project's own day has begun anew
    await ended_calls(pool, project, 100, 5, now - timedelta(hours=2))
    office = await books(pool, now)
    await office.abandonment.complete()
    account = office.abandonment.of(project)
    assert (account.answered, account.abandoned, account.left, account.cap) == (100, 5, -2, Decimal("0.03"))
    async with pool.acquire() as conn:
        await choose(conn, project.id, [], now=NOON)
    free = await load_project(pool, project.id)
    account = office.abandonment.of(free)
    assert (account.answered, account.abandoned, account.cap) == (0, 0, Decimal(1))
    assert not office.abandonment.of(project).counted  # chosen again: what ended meanwhile has to be read
    await office.projects.refresh()
    await office.abandonment.complete()
    office.abandonment.show()
    shown = office.feed.snapshot()["state"]["abandonment"][str(project.id)]
    assert (shown["cap"], shown["answered"]) == ("1.0000", 0)


async def test_a_line_begins_to_bind_with_its_day(pool: asyncpg.Pool) -> None:
    line = a_share().replace('kind = "abandonment"', 'kind = "abandonment"\neffective_from = 2026-03-03')
    project = await bound(pool, line, zone="Asia/Shanghai")
    now = datetime(2026, 3, 2, 15, 59, tzinfo=UTC)
    await ended_calls(pool, project, 100, 5, now - timedelta(hours=2))
    office = await books(pool, now)
    await office.abandonment.complete()
    assert office.abandonment.of(project).left == 95
    office.clock.at += timedelta(minutes=1)
    assert not office.abandonment.of(project).counted
    await office.abandonment.complete()
    assert office.abandonment.of(project).left == -2


async def test_an_engine_over_the_cap_of_a_pack_dials_one_for_one_and_a_project_that_stops_not_at_all(
    stage: Stage,
) -> None:
    made = [
        await stage.project(mode="ratio", ratio=3, safe_harbour="acme", abandonment_at_limit=at_limit, **LAX)
        for at_limit in ("one_to_one", "stop")
    ]
    now = datetime.now(UTC)  # noqa: TID251 - the engine's clock
    for project in made:
        await under(stage.pool, project, a_share(), at=now - timedelta(days=1))
        await ended_calls(stage.pool, project, 40, 10, now)
        await stage.leads(project, 6)
    await stage.start()
    for project in made:
        await stage.agent(project)
    await stage.call()

    def limit(project: Project) -> Limit | None:
        pace = stage.engine.parts.placing.paces.last(project.id)
        return None if pace is None else pace.limited_by

    await stage.until(lambda: limit(made[0]) is Limit.ABANDONMENT, "the pack's cap as the limit")
    await stage.until(lambda: limit(made[1]) is Limit.ABANDONMENT_STOP, "a stop at the pack's cap")
    assert len(stage.asterisk.sent_calls()) == 1
    assert stage.engine.parts.abandonment.of(await load_project(stage.pool, made[1].id)).standing is Standing.STOPPED


async def test_the_message_comes_as_soon_as_a_pack_wants_it_if_the_project_would_let_callers_wait_longer(
    pool: asyncpg.Pool,
) -> None:
    project = await bound(pool, agent_wait_ms=8000, safe_harbour="acme")
    await a_lead(pool, project.id)
    [lead] = await claim(pool, a_request(project))
    assert project.trunk is not None
    call = Call(
        attempt_id=lead.attempt_id, project_id=project.id, lead_id=lead.lead_id, number=lead.number, mode=Mode.RATIO, trunk_id=project.trunk.id,
        caller_number=lead.caller_number, created_at=NOON, placed_s=0.0,
    )  # fmt: skip
    told = " ".join(value for _, value in originate(call, project, project.trunk).headers)
    assert "WAIHU_WAIT_MS=2000" in told
    office = await books(pool, NOON)
    assert office.projects.agent_wait_s(project.id) == 2.0
    assert agent_wait_ms(await bound(pool, agent_wait_ms=1000), NOON) == 1000

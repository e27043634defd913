"""Leads that may not be called do not keep the others waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from campaigns import consents
from tests.campaigns.test_claim_rules import a_rule, unconsented, under
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def test_the_lead_behind_thousands_without_consent_is_called_without_waiting_for_ticks(stage: Stage) -> None:
    project = await stage.project()
    now = datetime.now(UTC)  # noqa: TID251 - the engine's clock
    await under(stage.pool, project, a_rule("consent", scope="marketing"), at=now - timedelta(days=1))
    await unconsented(stage.pool, project, 5000)
    [lead_id] = await stage.leads(project, 1)
    number = await stage.pool.fetchval("select number from leads where id = $1", lead_id)
    await consents.grant(stage.pool, number, scope="marketing", evidence="form", granted_at=now - timedelta(days=1), now=now)  # fmt: skip
    await stage.start(tick_s=60.0)
    await stage.agent(project)
    assert (await stage.call()).lead_id == lead_id

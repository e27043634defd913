"""Lines of rule packs that speak of calls by hand hold those calls, in a project that dials by itself too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dialer.domain.commands import Dial
from dialer.domain.errors import Conflict
from dialer.domain.states import AgentState
from tests.builders import a_number
from tests.campaigns.test_claim_rules import a_rule, under
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services

_AFTERNOON_TESTS = '{ allowed = true, at = 2026-06-01T22:30:00Z, zone = "UTC" }, { allowed = false, at = 2026-06-01T02:00:00Z, zone = "UTC" }'
_NIGHT_TESTS = '{ allowed = true, at = 2026-06-01T01:30:00Z, zone = "UTC" }, { allowed = false, at = 2026-06-01T12:00:00Z, zone = "UTC" }'
_RING_TESTS = "{ allowed = true, at = 2026-06-01T04:00:00Z, ring_s = 60 }, { allowed = false, at = 2026-06-01T04:00:00Z, ring_s = 20 }"


@pytest.mark.parametrize("kind", ["window", "ring_time"])
async def test_agent_is_told_of_a_line_for_calls_by_hand_that_the_pacer_does_not_mind(stage: Stage, kind: str) -> None:
    project = await stage.project(zone="Asia/Shanghai")
    now = datetime.now(UTC)  # noqa: TID251 - the engine's clock
    if kind == "window":
        morning = now.astimezone(ZoneInfo("Asia/Shanghai")).hour < 12
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        line = a_rule(
            "window", modes=["manual"], days=days, open=["22:00-24:00"] if morning else ["01:00-02:00"], unknown_zone="project",
            tests=_AFTERNOON_TESTS if morning else _NIGHT_TESTS,
        )  # fmt: skip
    else:
        line = a_rule("ring_time", modes=["manual"], least_s=60, tests=_RING_TESTS)
    await under(stage.pool, project, line, at=now - timedelta(days=1))
    await stage.start()
    by_hand, by_pacer = await stage.agent(project, wanted="break"), await stage.agent(project)
    with pytest.raises(Conflict) as refused:
        await stage.engine.execute(Dial(agent_id=by_hand, project_id=project.id, number=a_number()))
    assert refused.value.error_id == {"window": "outside_window", "ring_time": "ring_time"}[kind]
    await stage.leads(project, 1)
    stage.engine.parts.placing.new_list(project.id)
    await stage.call()
    assert stage.state(by_pacer) in (AgentState.READY, AgentState.RESERVED)

"""kill -9 of Redis at each step of a call, on the whole system: calls do not notice."""

from __future__ import annotations

import pytest

from lab.chaos.plan import Victim
from tests.faults.call_centre import ADOPTED_S, CallCentre, Step

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]


@pytest.mark.parametrize("step", Step)
async def test_redis_killed_at_each_step_changes_nothing(centre: CallCentre, step: Step) -> None:
    told = await centre.story(Victim.REDIS, step)
    assert told.violations == set()
    expected = ["connected", "connected"] if step is Step.WAITING else ["connected"]
    assert told.outcomes == expected
    assert told.back_s < ADOPTED_S
    if step in {Step.BRIDGED, Step.HELD}:
        assert (told.kept, told.agent_after, told.call_after) == (True, "talking", step.value)
    if step is Step.WRAP_UP:
        assert told.agent_after == "wrap_up"

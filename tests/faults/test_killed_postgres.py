"""kill -9 of PostgreSQL at each step of a call, on the whole system: conversations go on, what happened meanwhile is written later."""

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

ENDS = {
    # The claim died with its transaction: no attempt was ever made of it.
    Step.COMMITTED: [["connected"]],
    Step.ORIGINATING: [["connected"]],
    Step.RINGING: [["connected"]],
    Step.WAITING: [["connected", "connected"], ["connected", "abandoned"], ["abandoned", "connected"]],
    Step.BRIDGED: [["connected"]],
    Step.HELD: [["connected"]],
    Step.WRAP_UP: [["connected"]],
}


@pytest.mark.parametrize("step", Step)
async def test_postgresql_killed_at_each_step_loses_nothing_and_cuts_nobody_off(centre: CallCentre, step: Step) -> None:
    told = await centre.story(Victim.POSTGRES, step)
    assert told.violations == set()
    assert told.outcomes in ENDS[step]
    assert told.back_s < ADOPTED_S
    if step in {Step.BRIDGED, Step.HELD}:
        assert (told.kept, told.agent_after, told.call_after) == (True, "talking", step.value)
    if step is Step.WRAP_UP:
        assert told.agent_after == "wrap_up"

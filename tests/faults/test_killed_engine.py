"""kill -9 of the engine (web and recorder die with it) at each step of a call, on the whole system."""

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
    # Nothing was on the wire: the lead goes back, and is called by the next engine. PostgreSQL may notice first that nobody waits for the claim.
    Step.COMMITTED: [["not_sent", "connected"], ["connected"]],
    Step.ORIGINATING: [["connected"]],
    # It may be answered before the next engine listens: then the customer hears the message, and it is counted.
    Step.RINGING: [["connected"], ["abandoned"]],
    Step.WAITING: [["connected", "abandoned"], ["abandoned", "connected"]],
    Step.BRIDGED: [["connected"]],
    Step.HELD: [["connected"]],
    Step.WRAP_UP: [["connected"]],
}


@pytest.mark.parametrize("step", Step)
async def test_engine_killed_at_each_step_is_followed_by_one_that_goes_on_with_the_call(
    centre: CallCentre, step: Step
) -> None:
    told = await centre.story(Victim.ENGINE, step)
    assert told.violations == set()
    assert told.outcomes in ENDS[step]
    assert told.back_s < ADOPTED_S
    if step in {Step.BRIDGED, Step.HELD}:
        assert (told.kept, told.agent_after, told.call_after) == (True, "talking", step.value)
    if step is Step.WRAP_UP:
        assert told.agent_after == "wrap_up"

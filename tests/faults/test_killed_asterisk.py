"""kill -9 of Asterisk at each step of a call, on the whole system: what it carried is lost, and nothing else."""

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
    # Nothing is on the wire yet: what the engine hears of first, the end of Asterisk or that of its claim, decides whether it is sent.
    Step.COMMITTED: [["not_sent", "connected"], ["connected"]],
    # It was on the wire and counts as made: the customer's telephone may have rung.
    Step.ORIGINATING: [["failed"]],
    Step.RINGING: [["failed"]],
    Step.WAITING: [["connected", "hung_up_early"], ["hung_up_early", "connected"]],
    Step.BRIDGED: [["connected"]],
    Step.HELD: [["connected"]],
    Step.WRAP_UP: [["connected"]],
}


@pytest.mark.parametrize("step", Step)
async def test_asterisk_killed_at_each_step_closes_its_calls_with_the_truth_and_dialling_goes_on(
    centre: CallCentre, step: Step
) -> None:
    told = await centre.story(Victim.ASTERISK, step)
    assert told.violations == set()
    assert told.outcomes in ENDS[step]
    assert told.back_s < ADOPTED_S
    if step in {Step.BRIDGED, Step.HELD, Step.WRAP_UP}:
        assert told.agent_after == "wrap_up"

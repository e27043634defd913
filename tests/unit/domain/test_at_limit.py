"""What a contract that stops at its limit leaves of a policy's decision."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing import Decision, FlightState, Learning, Limit, Mode, Observation, Policy, Predictive, Snapshot
from dialer.domain.pacing.at_limit import within_contract
from dialer.domain.pacing.contract import AbandonmentContract, AtLimit, Standing
from dialer.domain.states import AgentState
from dialer.simulation.compare import Overdial
from dialer.simulation.floor import Floor
from dialer.simulation.world import World, always


def a_snapshot(*, ready: int, in_flight: int, standing: Standing, may_abandon: int) -> Snapshot:
    return Snapshot(
        project_id=uuid4(),
        at_s=0.0,
        mode=Mode.PREDICTIVE,
        ratio=1.0,
        agents=((AgentState.READY, 1.0),) * ready,
        ready=ready,
        in_flight=tuple((uuid4(), FlightState.PLACED, 3.0) for _ in range(in_flight)),
        abandonment_cap=0.03,
        agent_wait_s=2.0,
        standing=standing,
        may_abandon=may_abandon,
    )


@given(
    ready=st.integers(0, 30), in_flight=st.integers(0, 60), place=st.integers(0, 40), may_abandon=st.integers(-5, 30),
    standing=st.sampled_from(Standing), limit=st.sampled_from(Limit),
)  # fmt: skip
def test_no_more_is_placed_than_agents_and_what_is_left_can_answer_for(
    ready: int, in_flight: int, place: int, may_abandon: int, standing: Standing, limit: Limit
) -> None:
    snapshot = a_snapshot(ready=ready, in_flight=in_flight, standing=standing, may_abandon=may_abandon)
    found = within_contract(snapshot, Decision(place=place, limited_by=limit))
    assert 0 <= found.place <= place
    if limit in (Limit.MODE, Limit.NO_AGENTS) or standing is Standing.FREE:
        assert found == Decision(place=place, limited_by=limit)
    elif standing is Standing.STOPPED:
        assert (found.place, found.limited_by) == (0, Limit.ABANDONMENT_STOP)
    else:
        assert found.place == min(place, max(0, ready + max(0, may_abandon) - in_flight))
        assert (found.limited_by is limit) == (found.place == place) or limit is Limit.ABANDONMENT


class Stopping:
    """A policy under a contract that stops, as the engine puts them together."""

    def __init__(self, policy: Policy, cap: str) -> None:
        self._policy = policy
        self._contract = AbandonmentContract(cap=Decimal(cap), at_limit=AtLimit.STOP)
        self.stopped = 0
        self.worst = 0

    def observe(self, observation: Observation) -> None:
        if isinstance(self._policy, Learning):
            self._policy.observe(observation)

    def to_state(self) -> dict[str, Any]:
        return {}

    def decide(self, snapshot: Snapshot) -> Decision:
        answered, abandoned = snapshot.answered, snapshot.abandoned
        left = self._contract.allowed(answered) - abandoned
        standing = self._contract.standing(answered, abandoned)
        self.stopped += standing is Standing.STOPPED
        self.worst = min(self.worst, left)
        return within_contract(replace(snapshot, standing=standing, may_abandon=left), self._policy.decide(snapshot))


def test_a_day_under_a_stopping_contract_is_never_over_the_cap_and_does_better_than_one_to_one() -> None:
    world = World(agents=20, answer=always(0.25), hours=1.5)
    plain = Floor(world, Overdial(1.0), Random(1)).run()
    bold = Stopping(Overdial(3.0), "0.03")
    Floor(world, bold, Random(1)).run()
    assert (bold.stopped, bold.worst) == (0, 0)  # whatever the policy wants
    predictive = Stopping(Predictive(), "0.03")
    day = Floor(world, predictive, Random(1)).run()
    assert (predictive.stopped, predictive.worst) == (0, 0)
    assert day.utilisation > plain.utilisation + 0.05

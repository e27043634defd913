"""Progressive and fixed-ratio dialling behind the pacing interface."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing import Decision, FlightState, Limit, Mode, Snapshot, policy_for
from dialer.domain.states import AgentState


def a_snapshot(
    *,
    mode: Mode = Mode.PROGRESSIVE,
    ready: int = 0,
    busy: int = 0,
    in_flight: int = 0,
    ratio: float = 1.0,
    answered: int = 0,
    abandoned: int = 0,
) -> Snapshot:
    return Snapshot(
        project_id=UUID(int=1),
        at_s=0,
        mode=mode,
        ratio=ratio,
        agents=((AgentState.READY, 1.0),) * ready + ((AgentState.TALKING, 10.0),) * busy,
        ready=ready,
        in_flight=tuple((UUID(int=n), FlightState.PLACED, 3.0) for n in range(in_flight)),
        abandonment_cap=0.03,
        agent_wait_s=2,
        answered=answered,
        abandoned=abandoned,
    )


def decide(snapshot: Snapshot) -> Decision:
    return policy_for(snapshot.mode).decide(snapshot)


def test_progressive_places_one_call_for_each_ready_agent() -> None:
    assert decide(a_snapshot(ready=5, busy=3)).place == 5


def test_progressive_counts_the_calls_under_way() -> None:
    assert decide(a_snapshot(ready=5, in_flight=4)).place == 1


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 100))
def test_progressive_can_abandon_nobody(ready: int, busy: int, in_flight: int) -> None:
    placed = decide(a_snapshot(ready=ready, busy=busy, in_flight=in_flight)).place
    assert placed == 0 or placed + in_flight <= ready


def test_ratio_places_so_many_calls_for_each_ready_agent() -> None:
    assert decide(a_snapshot(mode=Mode.RATIO, ratio=2.5, ready=3)).place == 7


def test_ratio_falls_back_to_one_call_an_agent_over_the_abandonment_cap() -> None:
    over = a_snapshot(mode=Mode.RATIO, ratio=3, ready=4, answered=100, abandoned=4)
    decision = decide(over)
    assert (decision.place, decision.limited_by) == (4, Limit.ABANDONMENT)
    assert dict(decision.because) == {"ratio": 1.0}


def test_ratio_is_not_judged_by_a_handful_of_answers() -> None:
    assert decide(a_snapshot(mode=Mode.RATIO, ratio=3, ready=4, answered=5, abandoned=1)).place == 12


@pytest.mark.parametrize(("mode", "ratio", "placed"), [(Mode.PROGRESSIVE, 1.0, 3), (Mode.RATIO, 2.0, 6)])
def test_no_call_is_placed_for_an_agent_who_may_be_gone_when_it_is_answered(
    mode: Mode, ratio: float, placed: int
) -> None:
    snapshot = a_snapshot(mode=mode, ratio=ratio, ready=5, busy=2)
    leaving = ((0, 12.0), (1, 30.0), (2, 31.0), (6, 0.0))
    assert decide(replace(snapshot, leaving=leaving, ring_timeout_s=30.0)).place == placed


@pytest.mark.parametrize("mode", [Mode.MANUAL, Mode.PREVIEW])
def test_agents_who_dial_by_hand_are_not_dialled_for(mode: Mode) -> None:
    assert decide(a_snapshot(mode=mode, ready=9)) == Decision(place=0, limited_by=Limit.MODE)


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.RATIO, Mode.PREDICTIVE])
def test_project_without_agents_says_so(mode: Mode) -> None:
    decision = decide(a_snapshot(mode=mode))
    assert (decision.place, decision.limited_by) == (0, Limit.NO_AGENTS)

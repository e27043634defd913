"""The abandonment contract against an oracle that looks at call after call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, AtLimit, Standing

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Heard:
    """A call as somebody with a stopwatch noted it down."""

    outcome: str
    waited_us: int | None  # until an agent came


heard = st.one_of(
    st.builds(Heard, st.just("connected"), st.integers(0, 90_000_000)),
    st.builds(
        Heard, st.sampled_from(["abandoned", "hung_up_early", "machine", "failed", "played", "broken_off"]), st.none()
    ),
)
calls = st.lists(heard, max_size=300)
contracts = st.builds(
    AbandonmentContract,
    cap=st.decimals("0", "1", places=3),
    agent_within_ds=st.integers(0, 600),
    at_limit=st.sampled_from(AtLimit),
    machines_count_as_answered=st.booleans(),
    late_counts_as_abandoned=st.booleans(),
    false_machine_rate=st.decimals("0", "1", places=2),
)


def kept_of(noted: list[Heard]) -> Counter[AnsweredCall]:
    """What the product keeps of them."""
    return Counter(
        AnsweredCall.of(
            one.outcome, NOON, None if one.waited_us is None else NOON + timedelta(microseconds=one.waited_us)
        )
        for one in noted
    )


def counted(contract: AbandonmentContract, noted: list[Heard]) -> tuple[int, int]:
    """(answered, abandoned), call by call."""
    answered = abandoned = machines = 0
    for one in noted:
        match one.outcome:
            case "machine":
                machines += 1
            case "played" | "broken_off":
                pass  # of a message: it promised no agent
            case "connected":
                late = (one.waited_us or 0) > contract.agent_within_ds * 100_000
                answered, abandoned = answered + 1, abandoned + (late and contract.late_counts_as_abandoned)
            case outcome:
                answered, abandoned = answered + 1, abandoned + (outcome == "abandoned")
    wrong = 0
    while Fraction(wrong) < Fraction(contract.false_machine_rate) * machines:
        wrong += 1
    return answered + (machines if contract.machines_count_as_answered else wrong), abandoned + wrong


@given(contracts, calls)
def test_what_is_left_is_what_can_be_added_before_the_share_is_above_the_cap(
    contract: AbandonmentContract, noted: list[Heard]
) -> None:
    answered, abandoned = counted(contract, noted)
    tally = contract.tally(kept_of(noted))
    assert (contract.answered(tally), contract.abandoned(tally)) == (answered, abandoned)
    cap = Fraction(contract.cap)
    assert contract.kept(tally) == (abandoned <= cap * answered)
    more = contract.left(tally)
    assert abandoned + more <= cap * answered < abandoned + more + 1


@given(contracts, calls)
def test_a_person_who_got_an_agent_in_time_never_makes_it_worse(
    contract: AbandonmentContract, noted: list[Heard]
) -> None:
    in_time = contract.tally(kept_of([*noted, Heard("connected", 0)]))
    assert contract.left(in_time) >= contract.left(contract.tally(kept_of(noted)))


@given(contracts, calls)
def test_a_contract_that_stops_does_so_over_the_cap_once_the_cap_allows_a_call_at_all(
    contract: AbandonmentContract, noted: list[Heard]
) -> None:
    answered, abandoned = counted(contract, noted)
    standing = contract.standing(answered, abandoned)
    if contract.at_limit is AtLimit.ONE_TO_ONE:
        assert standing is Standing.FREE  # the policy keeps the budget
        return
    cap = Fraction(contract.cap)
    over = abandoned > cap * answered
    assert (standing is Standing.STOPPED) == (over and (cap * answered >= 1 or cap == 0))
    assert standing is not Standing.FREE


def test_three_of_a_hundred_is_three_exactly() -> None:
    contract = AbandonmentContract(cap=Decimal("0.03"))
    assert contract.kept(contract.tally({AnsweredCall("connected"): 97, AnsweredCall("abandoned"): 3}))
    assert not contract.kept(contract.tally({AnsweredCall("connected"): 96, AnsweredCall("abandoned"): 3}))


def test_two_seconds_are_in_time_and_a_moment_more_is_late() -> None:
    contract = AbandonmentContract(agent_within_ds=20)
    tally = contract.tally(kept_of([Heard("connected", 2_000_000), Heard("connected", 2_000_001)]))
    assert (tally.connected, tally.late) == (1, 1)


@pytest.mark.parametrize("share", [Decimal("-0.01"), Decimal("1.01"), Decimal(3)])
def test_a_cap_or_a_rate_that_is_no_share_is_refused(share: Decimal) -> None:
    with pytest.raises(ValueError, match="share"):
        AbandonmentContract(cap=share)
    with pytest.raises(ValueError, match="share"):
        AbandonmentContract(false_machine_rate=share)

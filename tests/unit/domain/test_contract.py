"""The abandonment contract against an oracle that counts call by call."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing.contract import AbandonmentContract, Tally

_KINDS = ("connected", "late", "abandoned", "hung_up_early", "machines", "false_machines")
calls = st.lists(st.sampled_from(_KINDS), max_size=300)
contracts = st.builds(
    AbandonmentContract,
    cap=st.decimals("0.001", "0.2", places=3),
    machines_count_as_answered=st.booleans(),
    late_counts_as_abandoned=st.booleans(),
    false_machines_count_as_abandoned=st.booleans(),
)


def tally_of(kinds: list[str]) -> Tally:
    return Tally(**{kind: kinds.count(kind) for kind in _KINDS})


def counted(contract: AbandonmentContract, kind: str) -> tuple[int, int]:
    """(answered, abandoned) of one call."""
    if kind == "machines":
        return int(contract.machines_count_as_answered), 0
    lost = {
        "abandoned": True,
        "late": contract.late_counts_as_abandoned,
        "false_machines": contract.false_machines_count_as_abandoned,
    }
    return 1, int(lost.get(kind, False))


@given(contracts, calls)
def test_what_is_left_is_what_can_be_added_before_the_share_is_above_the_cap(
    contract: AbandonmentContract, kinds: list[str]
) -> None:
    ones = [counted(contract, kind) for kind in kinds]
    answered, abandoned = sum(one[0] for one in ones), sum(one[1] for one in ones)
    tally = tally_of(kinds)
    assert (contract.answered(tally), contract.abandoned(tally)) == (answered, abandoned)
    cap = Fraction(contract.cap)
    assert contract.kept(tally) == (abandoned <= cap * answered)
    more = contract.left(tally)
    assert abandoned + more <= cap * answered < abandoned + more + 1


@given(contracts, calls)
def test_a_person_who_got_an_agent_in_time_never_makes_it_worse(
    contract: AbandonmentContract, kinds: list[str]
) -> None:
    assert contract.left(tally_of([*kinds, "connected"])) >= contract.left(tally_of(kinds))


def test_three_of_a_hundred_is_three_exactly() -> None:
    contract = AbandonmentContract(cap=Decimal("0.03"))
    assert contract.kept(Tally(connected=97, abandoned=3))
    assert not contract.kept(Tally(connected=96, abandoned=3))


@pytest.mark.parametrize("cap", [Decimal(0), Decimal(1), Decimal(3)])
def test_a_cap_that_is_no_share_is_refused(cap: Decimal) -> None:
    with pytest.raises(ValueError, match="share"):
        AbandonmentContract(cap=cap)

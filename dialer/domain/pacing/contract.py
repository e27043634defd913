"""The abandonment contract: which share of answered calls may be abandoned, counted how, over which period, and what happens at the limit.

Published rules differ in exactly these points: 16 CFR 310.4(b)(4) (US: 3 % of the calls answered by a person, per campaign over 30 days,
connected within 2 s of the greeting), Ofcom (UK: 3 % per campaign over 24 h). The arithmetic is exact: shares are `Decimal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Period(StrEnum):
    """Over what the share is counted."""

    DAY = "day"  # the calendar day in the project's zone
    HOURS_24 = "hours_24"
    DAYS_30 = "days_30"


class AtLimit(StrEnum):
    """What happens when the budget is used up."""

    ONE_TO_ONE = "one_to_one"  # no more calls than ready agents
    STOP = "stop"  # no calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The calls of a period, by what answered and what came of it."""

    connected: int = 0  # people who got an agent in time
    late: int = 0  # people who got an agent, but not within the limit
    abandoned: int = 0  # people who got none
    hung_up_early: int = 0  # people who left before the limit
    machines: int = 0  # taken for machines, rightly
    false_machines: int = 0  # people who were taken for machines, as far as it is known or estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonmentContract:
    """A limit with its definition. The default is the strict reading of the rules above."""

    cap: Decimal = Decimal("0.03")
    agent_within_s: Decimal = Decimal(2)  # of the end of the greeting; what takes longer is late
    period: Period = Period.DAY
    at_limit: AtLimit = AtLimit.ONE_TO_ONE
    machines_count_as_answered: bool = False
    late_counts_as_abandoned: bool = True
    false_machines_count_as_abandoned: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.cap < 1:
            raise ValueError("an abandonment cap is a share between 0 and 1, such as 0.03")

    def answered(self, tally: Tally) -> int:
        """The denominator."""
        people = tally.connected + tally.late + tally.abandoned + tally.hung_up_early + tally.false_machines
        return people + (tally.machines if self.machines_count_as_answered else 0)

    def abandoned(self, tally: Tally) -> int:
        """The numerator."""
        late = tally.late if self.late_counts_as_abandoned else 0
        unheard = tally.false_machines if self.false_machines_count_as_abandoned else 0
        return tally.abandoned + late + unheard

    def allowed(self, tally: Tally) -> int:
        """How many calls may have been abandoned by now."""
        return int(self.cap * self.answered(tally))

    def left(self, tally: Tally) -> int:
        """How many more calls may be abandoned now; negative: so many too many."""
        return self.allowed(tally) - self.abandoned(tally)

    def kept(self, tally: Tally) -> bool:
        """The share is not above the cap."""
        return self.left(tally) >= 0

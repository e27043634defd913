"""The abandonment contract: which share of answered calls may be abandoned, counted how, over which period, and what happens at the limit.

Published rules differ in exactly these points: 16 CFR 310.4(b)(4) (US: 3 % of the calls answered by a person, per campaign over each 30 days,
connected within 2 s of the greeting), Ofcom (UK: 3 % per campaign over 24 h, machines that were people count, by a reasoned estimate). The
arithmetic is exact: shares are `Decimal`, calls are whole, and what is in doubt is rounded against us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Final

LONGEST_WAIT_DS: Final = 601
_TENTH = timedelta(milliseconds=100)


class Period(StrEnum):
    """Over what the share is counted."""

    DAY = "day"  # the calendar day in the project's zone
    HOURS_24 = "hours_24"  # the last 24 hours
    DAYS_30 = "days_30"  # 30 days in the project's zone, one period after the other


class AtLimit(StrEnum):
    """What happens when the budget is used up."""

    ONE_TO_ONE = "one_to_one"  # no more calls than ready agents
    STOP = "stop"  # no calls


class Standing(StrEnum):
    """What a contract leaves to the pacing policy at a moment."""

    FREE = "free"  # the policy keeps to the budget by itself
    COVERED = "covered"  # a call beyond one for each ready agent has to be covered by one that may still be abandoned
    STOPPED = "stopped"


_STRICTNESS: Final = (Standing.STOPPED, Standing.COVERED, Standing.FREE)


def strictness(standing: Standing, left: int, cap: Decimal) -> tuple[int, int, Decimal]:
    """Of several contracts the one with the least of this binds."""
    return _STRICTNESS.index(standing), left, cap


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """What is kept of an answered call that is over. `wait_ds`: tenths of a second until the agent, begun ones count whole; 0: none came."""

    outcome: str
    wait_ds: int = 0

    @classmethod
    def of(cls, outcome: str, answered_at: datetime, bridged_at: datetime | None) -> AnsweredCall:
        """As the database's `wait_ds` counts it: what is beyond a minute is a minute and something."""
        waited = timedelta() if bridged_at is None else bridged_at - answered_at
        return cls(outcome, min(LONGEST_WAIT_DS, max(0, -(-waited // _TENTH))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The calls of a period, by what answered and what came of it."""

    connected: int = 0  # people who got an agent in time
    late: int = 0  # people who got an agent, but not within the limit
    abandoned: int = 0  # people who got none
    hung_up_early: int = 0  # people who left before the limit
    machines: int = 0  # taken for machines, rightly or not


@dataclass(frozen=True, slots=True, kw_only=True)
class AbandonmentContract:
    """A limit with its definition. The default is the strict reading of the rules above, for a floor without machine detection."""

    cap: Decimal = Decimal("0.03")
    agent_within_ds: int = 20  # tenths of a second from the answer; what takes longer is late
    period: Period = Period.DAY
    at_limit: AtLimit = AtLimit.ONE_TO_ONE
    machines_count_as_answered: bool = False
    late_counts_as_abandoned: bool = True
    false_machine_rate: Decimal = Decimal(
        0
    )  # share of those taken for machines that counts as people who were abandoned
    rules: tuple[str, ...] = ()  # lines of rule packs that it comes from, by name; the rest is the project's own

    def __post_init__(self) -> None:
        for share in (self.cap, self.false_machine_rate):
            if not 0 <= share <= 1:
                raise ValueError(
                    "an abandonment cap, or a rate of false machines, is a share between 0 and 1, such as 0.03"
                )

    def tally(self, calls: Mapping[AnsweredCall, int]) -> Tally:
        """Sort answered calls, each kind with how many there are, by this contract's definitions."""
        connected = late = abandoned = early = machines = 0
        for kind, count in calls.items():
            match kind.outcome:
                case "connected" if kind.wait_ds <= self.agent_within_ds:
                    connected += count
                case "connected":
                    late += count
                case "abandoned":
                    abandoned += count
                case "machine":
                    machines += count
                case "played" | "broken_off":
                    pass  # of a message or survey: no agent was promised
                case _:
                    early += count
        return Tally(connected=connected, late=late, abandoned=abandoned, hung_up_early=early, machines=machines)

    def false_machines(self, tally: Tally) -> int:
        """How many of those taken for machines count as abandoned people."""
        return int((self.false_machine_rate * tally.machines).to_integral_value(ROUND_CEILING))

    def answered(self, tally: Tally) -> int:
        """The denominator."""
        people = tally.connected + tally.late + tally.abandoned + tally.hung_up_early
        return people + (tally.machines if self.machines_count_as_answered else self.false_machines(tally))

    def abandoned(self, tally: Tally) -> int:
        """The numerator."""
        late = tally.late if self.late_counts_as_abandoned else 0
        return tally.abandoned + late + self.false_machines(tally)

    def allowed(self, answered: int) -> int:
        """Of so many answered calls, how many may be abandoned."""
        return int(self.cap * answered)

    def left(self, tally: Tally) -> int:
        """How many more calls may be abandoned now; negative: so many too many."""
        return self.allowed(self.answered(tally)) - self.abandoned(tally)

    def kept(self, tally: Tally) -> bool:
        """The share is not above the cap."""
        return self.left(tally) >= 0

    def standing(self, answered: int, abandoned: int) -> Standing:
        """What is left to the pacing policy, at these two counts.

        A contract that stops at its limit knows no credit: whoever dials by it never risks more calls than may still be abandoned, so that
        it stops by misfortune only. Before the cap allows a first abandoned call (34 answers at 3 %) one too many does not stop the
        period, or it could never begin.
        """
        if self.at_limit is AtLimit.ONE_TO_ONE:
            return Standing.FREE
        allowed = self.allowed(answered)
        return Standing.STOPPED if abandoned > allowed and (allowed > 0 or self.cap == 0) else Standing.COVERED

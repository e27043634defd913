"""An abandonment contract as a budget: what was allowed, what is used, what is left, and where it ends if it goes on like this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal

from dialer.domain.pacing.contract import AbandonmentContract, AnsweredCall, Standing, Tally
from dialer.domain.pacing.periods import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What the period comes to at its end. `open_h`: the hours that are left to dial in."""

    answered: int
    abandoned: int
    allowed: int
    left: int
    open_h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Calls of a period that are over. `share`: of the answered, with four places; None while there are none."""

    span: Span
    tally: Tally
    answered: int
    abandoned: int
    allowed: int
    left: int
    share: Decimal | None
    standing: Standing
    projected: Projection | None  # None: the period moves along, it has no end


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """What the projection goes by: the newest calls, and how long it took them to come."""

    calls: Mapping[AnsweredCall, int]
    took: timedelta
    open_time: timedelta  # that is left of the period


def budget_of(
    contract: AbandonmentContract, span: Span, calls: Mapping[AnsweredCall, int], lately: Lately | None = None
) -> Budget:
    """The budget of a period with these calls in it."""
    tally = contract.tally(calls)
    answered, abandoned = contract.answered(tally), contract.abandoned(tally)
    return Budget(
        span=span,
        tally=tally,
        answered=answered,
        abandoned=abandoned,
        allowed=contract.allowed(answered),
        left=contract.left(tally),
        share=(Decimal(abandoned) / answered).quantize(Decimal("0.0001")) if answered else None,
        standing=contract.standing(answered, abandoned),
        projected=None if lately is None else _projected(contract, answered, abandoned, lately),
    )


def _projected(contract: AbandonmentContract, answered: int, abandoned: int, lately: Lately) -> Projection:
    tally = contract.tally(lately.calls)
    times = lately.open_time / lately.took
    answered += round(contract.answered(tally) * times)
    abandoned += round(contract.abandoned(tally) * times)
    allowed = contract.allowed(answered)
    return Projection(
        answered=answered,
        abandoned=abandoned,
        allowed=allowed,
        left=allowed - abandoned,
        open_h=round(lately.open_time / timedelta(hours=1), 2),
    )


def open_time(since: datetime, until: datetime, zone: tzinfo, begin: time, end: time) -> timedelta:
    """How much of a stretch of time lies in the daily hours from `begin` to `end` of a zone."""
    found = timedelta()
    day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
    while day <= last:
        opens = max(since, datetime.combine(day, begin, zone).astimezone(UTC))
        closes = min(until, datetime.combine(day, end, zone).astimezone(UTC))
        found += max(timedelta(), closes - opens)
        day += timedelta(days=1)
    return found

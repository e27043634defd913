"""Is a caller number answered less, hung up on sooner, or complained about more than the others of its pool? Pure.

A number is compared with the other numbers of its trunk within each project, because lists differ more than numbers do, and the differences are put
together: for shares of calls by the Mantel-Haenszel difference with Sato's variance (Greenland and Robins 1985; Sato 1989), which holds for many small
projects as for few large ones; for complaints, which are rare, by the exact interval of Clopper and Pearson (1934) for its part of all complaints.

The confidence is that of a whole look: of all numbers and measures that are judged together, one in a hundred looks raises a false alarm (Bonferroni).
Looks follow each other on the same calls, so they are not independent; the margins below keep what is small from mattering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import Final
from uuid import UUID

FALSE_ALARMS: Final = 0.01
"""Of a look at a pool in which nothing is wrong."""

LEAST_CALLS: Final = 50
LEAST_OTHERS: Final = 200
"""Below these nothing is judged."""

LEAST_COMPLAINTS: Final = 3
ANSWER_MARGIN: Final = 0.2
SHORT_MARGIN: Final = 0.5
COMPLAINT_MARGIN: Final = 1.0
"""Relative to the others: an alarm needs a fifth fewer answers, half as many short calls again, twice the complaints; for certain."""


class Measure(StrEnum):
    """What is compared."""

    ANSWERS = "answers"
    SHORT = "short"
    COMPLAINTS = "complaints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Calls of one number, as a rule of one project: how many, answered, and over within six seconds of the answer."""

    calls: int = 0
    answered: int = 0
    short: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one number did in the time that is looked at: by project, and its complaints."""

    by_project: Mapping[UUID, Tally]
    complaints: int = 0

    @property
    def calls(self) -> int:
        """In all projects."""
        return sum(tally.calls for tally in self.by_project.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One measure of a number against the others. `own` and `others` are shares; the difference lies between `low` and `high`.

    For complaints `own` is its part of all of them, `others` the part its calls would make one expect. `alarm`: worse by more than the margin, for certain.
    """

    measure: Measure
    own: float
    others: float
    low: float
    high: float
    calls: int
    alarm: bool

    @property
    def sentence(self) -> str:
        """For people."""
        low, high = sorted((abs(self.low), abs(self.high)))
        match self.measure:
            case Measure.ANSWERS:
                return f"{self.own:.1%} of its {self.calls} calls were answered, of the others' {self.others:.1%}: {low * 100:.1f} to {high * 100:.1f} points fewer"
            case Measure.SHORT:
                return f"{self.own:.1%} of its answered calls ended within 6 s, of the others' {self.others:.1%}: {low * 100:.1f} to {high * 100:.1f} points more"
            case Measure.COMPLAINTS:
                return f"{self.own:.1%} of the complaints are about it, which made {self.others:.1%} of the calls"


Counts = tuple[int, int, int, int]
"""Of one project: this number's events and trials, the others' events and trials."""


def difference(strata: Sequence[Counts], z: float) -> tuple[float, float, float, float] | None:
    """The others' share as this number's calls would have it, the difference of the shares, and its interval at `z` standard deviations; None: nothing to compare."""
    weights = p_sum = q_sum = differences = expected = own_trials = 0.0
    for events, trials, other_events, other_trials in strata:
        total = trials + other_trials
        if not trials or not other_trials:
            continue
        weights += trials * other_trials / total
        differences += (events * other_trials - other_events * trials) / total
        p_sum += (
            trials**2 * other_events - other_trials**2 * events + trials * other_trials * (other_trials - trials) / 2
        ) / total**2
        q_sum += (events * (other_trials - other_events) + other_events * (trials - events)) / (2 * total)
        expected += trials * other_events / other_trials
        own_trials += trials
    if not weights:
        return None
    found = differences / weights
    half = z * sqrt(max(0.0, (found * p_sum + q_sum) / weights**2))
    return expected / own_trials, found, max(-1.0, found - half), min(1.0, found + half)


def part_of_all(count: int, total: int, alpha: float) -> tuple[float, float]:
    """The exact interval of a share: `count` of `total`, each side missed with a chance of at most `alpha` / 2 (Clopper and Pearson)."""
    if total == 0:
        return 0.0, 1.0
    low = 0.0 if count == 0 else _solved(lambda p: _at_least(count, total, p), alpha / 2)
    high = 1.0 if count == total else _solved(lambda p: 1 - _at_least(count + 1, total, p), alpha / 2, falling=True)
    return low, high


def judged(records: Mapping[str, Record]) -> dict[str, tuple[Drift, ...]]:
    """Each number against the other numbers of the pool; a number or measure with too few calls is left out."""
    alpha = FALSE_ALARMS / max(1, len(records) * len(Measure))
    z = NormalDist().inv_cdf(1 - alpha / 2)
    everything = _together(list(records.values()))
    return {number: tuple(_drifts(record, everything, alpha, z)) for number, record in records.items()}


def _drifts(record: Record, everything: Record, alpha: float, z: float) -> list[Drift]:
    others = everything.calls - record.calls
    if record.calls < LEAST_CALLS or others < LEAST_OTHERS:
        return []
    found = []
    for measure, strata in (
        (Measure.ANSWERS, _answers(record, everything)),
        (Measure.SHORT, _short(record, everything)),
    ):
        events, trials = sum(one[0] for one in strata), sum(one[1] for one in strata)
        compared = difference(strata, z)
        if compared is None or trials < LEAST_CALLS or sum(one[3] for one in strata) < LEAST_OTHERS:
            continue
        expected, _, low, high = compared
        alarm = high < -ANSWER_MARGIN * expected if measure is Measure.ANSWERS else low > SHORT_MARGIN * expected
        found.append(
            Drift(measure=measure, own=events / trials, others=expected, low=low, high=high, calls=trials, alarm=alarm)
        )
    complaints = everything.complaints
    if complaints:
        expected = record.calls / everything.calls
        low, high = part_of_all(record.complaints, complaints, alpha)
        alarm = record.complaints >= LEAST_COMPLAINTS and low > expected * (1 + COMPLAINT_MARGIN)
        found.append(
            Drift(
                measure=Measure.COMPLAINTS, own=record.complaints / complaints, others=expected, low=low - expected, high=high - expected,
                calls=record.calls, alarm=alarm,
            )
        )  # fmt: skip
    return found


def _answers(record: Record, everything: Record) -> list[Counts]:
    return [
        (own.answered, own.calls, everything.by_project[project].answered - own.answered, everything.by_project[project].calls - own.calls)
        for project, own in record.by_project.items()
    ]  # fmt: skip


def _short(record: Record, everything: Record) -> list[Counts]:
    return [
        (own.short, own.answered, everything.by_project[project].short - own.short, everything.by_project[project].answered - own.answered)
        for project, own in record.by_project.items()
    ]  # fmt: skip


def _together(records: Sequence[Record]) -> Record:
    by_project: dict[UUID, Tally] = {}
    for record in records:
        for project, tally in record.by_project.items():
            so_far = by_project.get(project, Tally())
            by_project[project] = Tally(
                calls=so_far.calls + tally.calls,
                answered=so_far.answered + tally.answered,
                short=so_far.short + tally.short,
            )
    return Record(by_project=by_project, complaints=sum(record.complaints for record in records))


def _at_least(count: int, total: int, p: float) -> float:
    """The chance of `count` or more of `total`, each with the chance `p`, which is between 0 and 1."""
    log_p, log_q = log(p), log1p(-p)
    whole = lgamma(total + 1)
    return 1.0 - sum(
        exp(whole - lgamma(k + 1) - lgamma(total - k + 1) + k * log_p + (total - k) * log_q) for k in range(count)
    )


def _solved(chance: Callable[[float], float], wanted: float, *, falling: bool = False) -> float:
    """Where a chance that grows with p (or falls) is `wanted`."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if (chance(middle) < wanted) != falling:
            low = middle
        else:
            high = middle
    return (low + high) / 2

"""What a project would come to with these agents, this list and this mode: "talk 47 ± 1 min/h, abandoned 2.6 %, data lasts 3.4 h"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean, stdev

from dialer.domain.pacing import Mode, Policy
from dialer.simulation.day import Day
from dialer.simulation.floor import Floor
from dialer.simulation.world import World


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a day's figure lies: the mean, and so much more or less on 19 days of 20."""

    mean: float
    spread: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.spread:.1f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The forecast."""

    utilisation_percent: Interval
    talk_min_per_hour: Interval  # of an agent
    abandoned_percent: Interval
    answered_per_hour: Interval
    placed_per_hour: Interval
    data_lasts_h: Interval | None
    over_cap: float  # share of the days
    days: int


def a_day(world: World, policy: Policy, seed: int, *, mode: Mode = Mode.PREDICTIVE, ratio: float = 1.0) -> Day:
    """Play the day once."""
    return Floor(world, policy, Random(seed), mode=mode, ratio=ratio).run()


def forecast_of(days: Sequence[Day], world: World, *, leads: int | None = None) -> WhatIf:
    """What days of this world, each with another seed, have in common. `leads`: how many numbers there are, each dialled once."""

    def each(figure: Callable[[Day], float]) -> Interval:
        return interval([figure(day) for day in days])

    return WhatIf(
        utilisation_percent=each(lambda day: 100 * day.utilisation),
        talk_min_per_hour=each(lambda day: 60 * day.talk_s / day.logged_in_s),
        abandoned_percent=each(lambda day: 100 * day.abandoned_share),
        answered_per_hour=each(lambda day: day.answered / day.hours),
        placed_per_hour=each(lambda day: day.placed / day.hours),
        data_lasts_h=None if leads is None else each(lambda day: leads * day.hours / max(1, day.placed)),
        over_cap=fmean(day.abandoned > world.cap * day.answered for day in days),
        days=len(days),
    )


def sentence(found: WhatIf, agents: int) -> str:
    """The forecast as a supervisor says it."""
    said = [
        f"With {agents} agents: talk {found.talk_min_per_hour} min/h",
        f"{found.utilisation_percent} % of their time busy",
        f"abandoned {found.abandoned_percent} %",
    ]
    if found.data_lasts_h is not None:
        said.append(f"data lasts {found.data_lasts_h} h")
    return ", ".join(said) + "."


def mean_curve(days: Sequence[Day]) -> list[tuple[float, float, float]]:
    """A mean day: for each quarter of an hour its beginning in hours, utilisation and the share of the answered that was abandoned, in percent."""
    curves = [day.curve() for day in days]
    found = []
    for n in range(min(map(len, curves))):
        answered, abandoned = (sum(day.windows[n][k] for day in days if n in day.windows) for k in (0, 1))
        found.append((n / 4, 100 * fmean(curve[n] for curve in curves), 100 * abandoned / max(1, answered)))
    return found


def interval(figures: Sequence[float]) -> Interval:
    """Of a further day like these: Student's t, by its expansion around the normal quantile (Abramowitz and Stegun, 26.7.5)."""
    n = len(figures)
    if n < 2:
        return Interval(fmean(figures), math.inf)
    z, freedom = NormalDist().inv_cdf(0.975), n - 1
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return Interval(fmean(figures), t * stdev(figures) * math.sqrt(1 + 1 / n))

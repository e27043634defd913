"""Policies beside each other in the same world."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from statistics import fmean

from dialer.domain.pacing import Decision, Limit, Policy, Snapshot
from dialer.domain.pacing.fixed import FixedRatio
from dialer.domain.pacing.predictive import Predictive
from dialer.simulation.day import Day
from dialer.simulation.dial_level import DialLevel
from dialer.simulation.floor import Floor
from dialer.simulation.truth import Told
from dialer.simulation.world import World

MINIMUM_RING_S = 15.0  # what rules that allow to give up a call ask for


@dataclass(frozen=True, slots=True)
class Overdial:
    """A ratio without regard for any cap: what the bare ratio costs."""

    ratio: float

    def decide(self, snapshot: Snapshot) -> Decision:
        """The calls that are missing."""
        wanted = int(self.ratio * snapshot.ready + 1e-9)
        return Decision(place=max(0, wanted - len(snapshot.in_flight)), limited_by=Limit.AGENTS)


Maker = Callable[[World], Policy]

POLICIES: dict[str, Maker] = {
    "1:1": lambda _: FixedRatio(calls_per_ready_agent=1.0),
    "2:1": lambda _: Overdial(2.0),
    "3:1": lambda _: Overdial(3.0),
    "dial level": lambda _: DialLevel(),
    "predictive": lambda _: Predictive(),
    "predictive, cancels": lambda _: Predictive(),
    "truth known": lambda world: Predictive(Told(world)),
}


def play(name: str, world: World, seed: int, tuned: Setting | None = None) -> Day:
    """One day of one of the policies; "tuned" is the dial level with these settings."""
    if name == "predictive, cancels":
        world = replace(world, cancel_after_s=MINIMUM_RING_S)
    policy = tuned.policy(world) if tuned is not None and name == "tuned" else POLICIES[name](world)
    return Floor(world, policy, Random(seed)).run()


@dataclass(frozen=True, slots=True)
class Setting:
    """Of the dial level; the limit as a share of the cap, the target as a share of the agents."""

    limit: float
    highest: float
    intensity: float
    target: float
    eases: bool
    only_free: bool

    def policy(self, world: World) -> DialLevel:
        """With these settings."""
        return DialLevel(
            drop_limit=self.limit * world.cap,
            highest=self.highest,
            intensity=self.intensity,
            target=self.target * world.agents,
            eases=self.eases,
            only_free=self.only_free,
        )


_BEGIN = tuple(
    Setting(0.9, highest, intensity, target, eases, only_free)
    for only_free, levels in ((False, (1.5, 2.0, 2.5)), (True, (2.0, 3.0, 4.5, 7.0)))
    for highest, intensity, target, eases in itertools.product(levels, (0.1, 1.0), (-0.05, 0.1), (False, True))
)
_ROUNDS = 3  # each with half the steps of the one before


def tuned_dial_level(world: World, seeds: Sequence[int]) -> Setting:
    """The settings of the highest utilisation within the cap: the best of a coarse grid, then up and down from it, one setting at a time.

    They are tried on the world that they are judged on, with other seeds: more than any floor could do.
    """

    @cache
    def worth(setting: Setting) -> float:
        days = [Floor(world, setting.policy(world), Random(seed)).run() for seed in seeds]
        over = fmean(day.abandoned_share for day in days) > world.cap
        return -1.0 if over else fmean(day.utilisation for day in days)

    best = max(_BEGIN, key=worth)
    for n in range(_ROUNDS):
        step = 0.5**n
        for neighbours in (_highest, _target, _intensity, _limit):
            best = max([best, *neighbours(best, step)], key=worth)
    return best


def _highest(at: Setting, step: float) -> list[Setting]:
    return [replace(at, highest=max(1.0, at.highest * 1.3 ** (by * step))) for by in (-1, 1)]


def _target(at: Setting, step: float) -> list[Setting]:
    return [replace(at, target=at.target + by * step) for by in (-0.05, 0.05)]


def _intensity(at: Setting, step: float) -> list[Setting]:
    return [replace(at, intensity=at.intensity * 4 ** (by * step)) for by in (-1, 1)]


def _limit(at: Setting, step: float) -> list[Setting]:
    return [replace(at, limit=at.limit * 1.3 ** (by * step)) for by in (-1, 1)]

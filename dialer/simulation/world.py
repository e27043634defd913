"""What a simulated day is made of: the list, the people on it, the agents and the limits."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from dialer.simulation.durations import Duration, LogNormal, Mixture


@dataclass(frozen=True, slots=True)
class Steps:
    """A value that changes in steps: ((from second, value), ...), beginning at 0."""

    steps: tuple[tuple[float, float], ...]

    def at(self, seconds: float) -> float:
        """The value then."""
        return self.steps[bisect.bisect_right(self.steps, (seconds, float("inf"))) - 1][1]


def always(value: float) -> Steps:
    """It never changes."""
    return Steps(((0.0, value),))


def _ring() -> Duration:
    return LogNormal(12.0, 0.5, beginning_s=2.0, at_most_s=25.0)


def _talk() -> Duration:
    return Mixture(((0.4, LogNormal(25.0, 0.5)), (0.6, LogNormal(400 / 3, 0.5))))


def _wrap_up() -> Duration:
    return LogNormal(15.0, 0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The setting of docs/pacing.md, unless said otherwise. Times in seconds from the start."""

    agents: int
    answer: Steps  # chance that a call is answered
    hours: float = 8.0
    ring: Duration = field(default_factory=_ring)  # until the answer
    ring_timeout_s: float = 25.0
    quick_failure: float = 0.12  # busy, vacant, refused by the network: share of all calls
    quick_failure_s: Duration = field(default_factory=lambda: LogNormal(1.0, 0.5))
    talk: Duration = field(default_factory=_talk)
    talk_factor: Steps = Steps(((0.0, 1.0),))
    wrap_up: Duration = field(default_factory=_wrap_up)
    agent_wait_s: float = 2.0
    cap: float = 0.03
    machines: float = 0.0  # of the answered
    detection_s: float = 2.5  # when there are machines
    quality: tuple[float, ...] = (1.0,)  # of leads, as they follow in the list: times `answer`
    quality_block: int = 1
    leaving: tuple[float, float, float] | None = None  # share of the agents, from, within
    leaving_known: bool = False  # ahead, as the end of a shift is; else they ask to leave when they do
    channels: int | None = None  # of the trunk: calls that ring, wait and talk
    leads: int | None = None
    cancel_after_s: float | None = None
    tick_s: float = 1.0
    least_gap_s: float = 0.25  # between two decisions

    @property
    def end_s(self) -> float:
        """When the day is over."""
        return self.hours * 3600

"""How long things take on a simulated floor: assumed distributions, or measured times played again."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol


class Duration(Protocol):
    """Seconds that something takes."""

    def draw(self, random: Random) -> float:
        """One of them."""
        ...

    def share_within(self, seconds: float) -> float:
        """P(it takes at most so long)."""
        ...


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal with this mean and coefficient of variation, after a fixed beginning, and cut off at the end."""

    mean_s: float
    variation: float
    beginning_s: float = 0.0
    at_most_s: float = math.inf

    def draw(self, random: Random) -> float:
        """Draws again what would be beyond the end."""
        sigma = self._sigma
        mu = math.log(self.mean_s) - sigma * sigma / 2
        while True:
            seconds = self.beginning_s + math.exp(random.gauss(mu, sigma))
            if seconds <= self.at_most_s:
                return seconds

    def share_within(self, seconds: float) -> float:
        """Of what is not cut off."""
        if seconds >= self.at_most_s:
            return 1.0
        whole = self._uncut(self.at_most_s) if self.at_most_s < math.inf else 1.0
        return self._uncut(seconds) / whole

    def _uncut(self, seconds: float) -> float:
        if seconds <= self.beginning_s:
            return 0.0
        sigma = self._sigma
        z = (math.log(seconds - self.beginning_s) - math.log(self.mean_s) + sigma * sigma / 2) / sigma
        return 0.5 * math.erfc(-z / math.sqrt(2))

    @property
    def _sigma(self) -> float:
        return math.sqrt(math.log1p(self.variation * self.variation))


@dataclass(frozen=True, slots=True)
class Mixture:
    """Each with its share."""

    parts: tuple[tuple[float, Duration], ...]

    def draw(self, random: Random) -> float:
        """One of the parts, then one of its times."""
        at = random.random()
        for share, part in self.parts:
            at -= share
            if at < 0:
                return part.draw(random)
        return self.parts[-1][1].draw(random)

    def share_within(self, seconds: float) -> float:
        """The parts' shares, weighted."""
        return sum(share * part.share_within(seconds) for share, part in self.parts)


class Measured:
    """A project's own times, each as likely as it was seen."""

    def __init__(self, seconds: Sequence[float]) -> None:
        if not seconds:
            raise ValueError("no measured times: take assumed ones")
        self._seconds = sorted(seconds)

    def draw(self, random: Random) -> float:
        """One that was seen."""
        return random.choice(self._seconds)

    def share_within(self, seconds: float) -> float:
        """The share that was seen."""
        return bisect.bisect_right(self._seconds, seconds) / len(self._seconds)

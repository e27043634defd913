"""What a simulated day came to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

_WINDOW_S = 900


def _nobody() -> list[int]:
    return [0, 0]


def _none_yet() -> dict[int, list[int]]:
    return defaultdict(_nobody)  # no lambda: days are played in other processes, and sent back


@dataclass(slots=True)
class Day:
    """Counts and times of one day."""

    hours: float
    placed: int = 0
    answered: int = 0  # by people
    abandoned: int = 0
    machines: int = 0
    canceled: int = 0
    talk_s: float = 0.0
    wrap_up_s: float = 0.0
    logged_in_s: float = 0.0
    windows: dict[int, list[int]] = field(default_factory=_none_yet)
    worked_s: dict[int, float] = field(
        default_factory=lambda: defaultdict(float)
    )  # talk and wrap-up, by the quarter of an hour
    seated_s: dict[int, float] = field(default_factory=lambda: defaultdict(float))  # logged in

    def answer(self, at_s: float, *, abandoned: bool) -> None:
        """Somebody answered and was given to an agent, or not."""
        window = self.windows[int(at_s // _WINDOW_S)]
        self.answered += 1
        window[0] += 1
        if abandoned:
            self.abandoned += 1
            window[1] += 1

    @property
    def utilisation(self) -> float:
        """Talk and wrap-up, of the time logged in."""
        return (self.talk_s + self.wrap_up_s) / self.logged_in_s

    def curve(self) -> list[float]:
        """Utilisation by the quarter of an hour."""
        return [self.worked_s[n] / self.seated_s[n] for n in sorted(self.seated_s)]

    @property
    def abandoned_share(self) -> float:
        """Of the answered."""
        return self.abandoned / max(1, self.answered)

    def worst_window(self, after_s: float = 1800) -> float:
        """The highest share of abandoned calls in a quarter of an hour."""
        shares = [lost / count for n, (count, lost) in self.windows.items() if n * _WINDOW_S >= after_s and count]
        return max(shares, default=0.0)


def by_quarter(into: dict[int, float], from_s: float, until_s: float) -> None:
    """Add a stretch of time to the quarters of an hour that it lies in."""
    while from_s < until_s:
        window = int(from_s // _WINDOW_S)
        end_s = min(until_s, (window + 1) * _WINDOW_S)
        into[window] += end_s - from_s
        from_s = end_s

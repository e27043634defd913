"""How far what was counted may be from what is true. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

Z: Final = 1.959963984540054  # 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`count` of `total`, and between which shares the true one lies with 95 % confidence."""

    count: int
    total: int
    low: float
    high: float


def wilson(count: int, total: int) -> Share:
    """The score interval of a share, right for few and for extreme counts as well; of nothing it is everything.

    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if total <= 0:
        return Share(count=0, total=0, low=0.0, high=1.0)
    share, square = count / total, Z * Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == total else min(1.0, middle + half)
    return Share(count=count, total=total, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much one share is larger than another, and between which differences the true one lies with 95 % confidence. None: one of them is of nothing."""

    value: float | None
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero: the difference is more than chance."""
        return self.low > 0 or self.high < 0


def newcombe(one: Share, other: Share) -> Difference:
    """`one` less `other`, two independent shares, by their score intervals; right for few and for extreme counts as well.

    Newcombe (1998), Interval estimation for the difference between independent proportions, method 10.
    """
    if not one.total or not other.total:
        return Difference(value=None, low=-1.0, high=1.0)
    p, q = one.count / one.total, other.count / other.total
    low = p - q - math.hypot(p - one.low, other.high - q)
    high = p - q + math.hypot(one.high - p, q - other.low)
    return Difference(value=p - q, low=max(-1.0, low), high=min(1.0, high))

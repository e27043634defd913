"""The figures of a trial: what came of the sample, each with its 95 % interval and whether the sample says enough. Pure.

Shares have the Wilson interval (`campaigns.life.intervals`); the mean talk time has Student's t. docs/life-cycle.md defines each figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from campaigns.life.intervals import Share, Z, wilson

_T_SMALL: Final = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
_MOST: Final = 10_000_000
TALK_PRECISION: Final = 0.10
"""Of the mean."""

PRECISIONS: Final[Mapping[str, float]] = {
    "reach": 0.05, "connect": 0.05, "valid_connect": 0.05, "abandoned": 0.02, "conversion": 0.05, "complaint": 0.01,
}  # fmt: skip
"""How far, at most, the truth may lie from the middle of the interval for a sample to be large enough."""

OF: Final[Mapping[str, str]] = {
    "reach": "attempted", "connect": "attempted", "valid_connect": "attempted", "abandoned": "reached", "conversion": "connected",
    "complaint": "reached",
}  # fmt: skip
"""What each share is a share of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted of a sample: leads, except for the talk time, which is of conversations (seconds; None: fewer than it takes)."""

    attempted: int
    reached: int
    connected: int
    valid: int
    abandoned: int
    converted: int
    complained: int
    calls: int
    conversations: int
    talk_mean_s: float | None
    talk_deviation_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean of `n` with its interval. `relative`: half of the interval, of the mean; None where there is no interval."""

    n: int
    mean: float | None
    low: float | None
    high: float | None
    relative: float | None


def t_quantile(degrees: int) -> float:
    """The 97.5 % point of Student's t, within 0.1 % (Abramowitz and Stegun, 26.7.5)."""
    if degrees in _T_SMALL:
        return _T_SMALL[degrees]
    z, n = Z, float(degrees)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def mean_of(n: int, mean: float | None, deviation: float | None) -> Mean:
    """The mean with Student's interval; of fewer than two there is none."""
    if n < 2 or mean is None or deviation is None:
        return Mean(n=n, mean=mean, low=None, high=None, relative=None)
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Mean(n=n, mean=mean, low=max(0.0, mean - half), high=mean + half, relative=half / mean if mean else None)


def needed_for(share: Share, precision: float) -> int:
    """How many it takes in all for an interval no wider than twice the precision, if the share stays what it is; of nothing, if it is a half."""
    rate = share.count / share.total if share.total else 0.5

    def wide(total: int) -> bool:
        interval = wilson(round(rate * total), total)
        return interval.high - interval.low > 2 * precision

    low, high = 0, 16
    while wide(high) and high < _MOST:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high


def shares_of(counted: Counted) -> dict[str, Share]:
    """Every share by its name."""
    return {
        "reach": wilson(counted.reached, counted.attempted),
        "connect": wilson(counted.connected, counted.attempted),
        "valid_connect": wilson(counted.valid, counted.attempted),
        "abandoned": wilson(counted.abandoned, counted.reached),
        "conversion": wilson(counted.converted, counted.connected),
        "complaint": wilson(counted.complained, counted.reached),
    }


def figures(counted: Counted) -> dict[str, Any]:
    """The figures as a document: plain values, shares as decimal texts of four places."""
    shares = {}
    for name, share in shares_of(counted).items():
        precision = PRECISIONS[name]
        enough = share.total > 0 and share.high - share.low <= 2 * precision
        shares[name] = {
            "count": share.count,
            "of": OF[name],
            "total": share.total,
            "share": _text(share.count / share.total) if share.total else None,
            "low": _text(share.low),
            "high": _text(share.high),
            "precision": _text(precision),
            "large_enough": enough,
            "needed": share.total if enough else max(share.total + 1, needed_for(share, precision)),
        }
    talk = mean_of(counted.conversations, counted.talk_mean_s, counted.talk_deviation_s)
    return {
        "attempted": counted.attempted,
        "calls": counted.calls,
        "shares": shares,
        "talk_s": {
            "conversations": talk.n,
            "mean": _seconds(talk.mean),
            "low": _seconds(talk.low),
            "high": _seconds(talk.high),
            "precision": _text(TALK_PRECISION),
            "large_enough": talk.relative is not None and talk.relative <= TALK_PRECISION,
            "needed": talk.n
            if talk.relative is None
            else max(2, math.ceil(talk.n * (talk.relative / TALK_PRECISION) ** 2)),
        },
        "method": "95 %: Wilson for shares, Student's t for the mean talk time",
    }


def canonical(document: Mapping[str, Any]) -> str:
    """The document as the text that is hashed and kept: JSON, names in order, nothing between."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _text(value: float) -> str:
    return f"{value:.4f}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"

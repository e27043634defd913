"""How long to wait before the next attempt to connect."""

from __future__ import annotations

from random import Random


def backoff_s(failures: int, random: Random, *, base_s: float, cap_s: float) -> float:
    """The wait after `failures` failures in a row (1 or more): doubles from `base_s` to `cap_s`, then half of it by chance.

    The jitter keeps several engines from knocking at the same moment when their Asterisk comes back.
    """
    if failures < 1:
        return 0.0
    ceiling: float = min(cap_s, base_s * 2.0 ** min(failures - 1, 32))
    return ceiling * (0.5 + random.random() / 2)

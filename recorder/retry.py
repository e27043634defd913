"""When to try again: pure."""

from __future__ import annotations


def back_off_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, bounded."""
    return min(longest_s, first_s * 2.0 ** min(max(failures - 1, 0), 30))

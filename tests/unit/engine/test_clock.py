"""Asterisk's dates are believed where they can be true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dialer.engine.clock import BELIEVED, dated

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Stopped:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(seconds=1.5), BELIEVED])
def test_date_of_the_last_minute_is_when_it_happened(ago: timedelta) -> None:
    assert dated(Stopped(), f"{(NOW - ago).timestamp():.6f}") == NOW - ago


@pytest.mark.parametrize("said", ["", "soon", "nan", "inf", "1e300", "0", "-1", *(f"{NOW.timestamp() + by}" for by in (0.1, 3600, -61))])  # fmt: skip
def test_date_that_cannot_be_true_is_now(said: str) -> None:
    assert dated(Stopped(), said) == NOW

"""Times as people type them after --at."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dialer.cli.why_pace import moment_of
from dialer.domain.errors import BadRequest

SHANGHAI = ZoneInfo("Asia/Shanghai")
PRESENT = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)  # 14:30 in Shanghai


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("14:05", datetime(2026, 3, 2, 14, 5, tzinfo=SHANGHAI)),
        ("14:05:30", datetime(2026, 3, 2, 14, 5, 30, tzinfo=SHANGHAI)),
        ("23:00", datetime(2026, 3, 1, 23, 0, tzinfo=SHANGHAI)),  # it was not 23 o'clock yet today
        ("2026-02-27T09:00", datetime(2026, 2, 27, 9, 0, tzinfo=SHANGHAI)),
        ("2026-02-27 09:00", datetime(2026, 2, 27, 9, 0, tzinfo=SHANGHAI)),
        ("06:05+00:00", datetime(2026, 3, 2, 6, 5, tzinfo=UTC)),
        ("2026-02-27T09:00+00:00", datetime(2026, 2, 27, 9, 0, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_the_projects_zone_and_is_one_that_was(typed: str, meant: datetime) -> None:
    assert moment_of(typed, PRESENT, SHANGHAI) == meant


@pytest.mark.parametrize("typed", ["", "noon", "25:00", "14h05", "2026-13-01T00:00"])
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(BadRequest) as caught:
        moment_of(typed, PRESENT, SHANGHAI)
    assert caught.value.error_id == "time_invalid"

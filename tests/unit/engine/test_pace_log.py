"""What the pacer decided is kept for an hour, a decision a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from dialer.domain.pacing import Limit
from dialer.engine.pace_log import KEPT, Pace, PaceLog

ONE, OTHER = UUID(int=1), UUID(int=2)
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def a_pace(after_s: float, place: int = 1, limit: Limit = Limit.AGENTS) -> Pace:
    return Pace(at=BEGAN + timedelta(seconds=after_s), place=place, limited_by=limit)


def test_decisions_of_one_second_are_one_and_its_calls_are_added() -> None:
    log = PaceLog()
    for after_s in (0.1, 0.5, 0.9, 1.0):
        log.note(ONE, a_pace(after_s))
    assert [pace.place for pace in log.recent(ONE, 10)] == [3, 1]


def test_no_more_than_an_hour_is_kept_and_the_newest_is_the_present_one() -> None:
    log = PaceLog()
    for second in range(KEPT + 50):
        log.note(ONE, a_pace(second, limit=Limit.LEADS if second < 50 else Limit.CPS))
    assert log.limits(ONE) == {"cps": KEPT}
    assert log.last(ONE) == a_pace(KEPT + 49, limit=Limit.CPS)


def test_projects_are_apart_and_one_that_is_forgotten_is_gone() -> None:
    log = PaceLog()
    log.note(ONE, a_pace(0))
    log.note(OTHER, a_pace(0, place=7))
    log.forget(ONE)
    assert log.last(ONE) is None
    assert log.recent(ONE, 5) == []
    assert list(log) == [OTHER]

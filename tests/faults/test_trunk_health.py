"""The rule about trunks that fail, without a trunk."""

from __future__ import annotations

from uuid import UUID

from dialer.domain.outcomes import Outcome
from dialer.engine.trunk_health import FAILING_AFTER, TrunkHealth

TRUNK, OTHER = UUID(int=1), UUID(int=2)


def a_failing_trunk(at_s: float = 100.0) -> TrunkHealth:
    health = TrunkHealth()
    for _ in range(FAILING_AFTER):
        health.ended(TRUNK, Outcome.CONGESTION, at_s)
    return health


def test_a_few_failures_among_successes_limit_nothing() -> None:
    health = TrunkHealth()
    for _ in range(10):
        for _ in range(FAILING_AFTER - 1):
            health.ended(TRUNK, Outcome.CONGESTION, 1.0)
        health.ended(TRUNK, Outcome.BUSY, 1.0)
    assert health.tries(TRUNK, 1.0) is None


def test_failing_trunk_is_tried_by_one_call_after_each_pause_and_the_other_trunk_is_free() -> None:
    health = a_failing_trunk()
    assert health.tries(TRUNK, 100.5) == 0
    assert health.tries(TRUNK, 101.0) == 1
    health.tried(TRUNK, 101.0)
    assert health.tries(TRUNK, 101.5) == 0
    assert health.tries(OTHER, 101.5) is None


def test_pauses_double_up_to_half_a_minute() -> None:
    health, at_s, pauses = a_failing_trunk(), 100.0, []
    for _ in range(8):
        before_s = at_s
        while not health.tries(TRUNK, at_s):
            at_s += 0.5
        pauses.append(at_s - before_s)
        health.ended(TRUNK, Outcome.FAILED, at_s)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_calls_that_fail_together_count_as_one_failure() -> None:
    health = a_failing_trunk()
    for _ in range(100):
        health.ended(TRUNK, Outcome.FAILED, 100.1)
    assert health.tries(TRUNK, 101.0) == 1


def test_one_call_that_gets_through_opens_the_trunk() -> None:
    health = a_failing_trunk()
    health.works(TRUNK)
    assert health.tries(TRUNK, 100.1) is None
    health = a_failing_trunk()
    health.ended(TRUNK, Outcome.VACANT, 100.1)
    assert health.tries(TRUNK, 100.1) is None


def test_calls_that_never_went_out_say_nothing_about_the_trunk() -> None:
    health = a_failing_trunk()
    health.ended(TRUNK, Outcome.NOT_SENT, 100.1)
    assert health.tries(TRUNK, 100.1) == 0

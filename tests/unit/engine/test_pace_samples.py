"""What is left of decisions after their hour: minutes, complete, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.pacing import Limit
from dialer.engine.pace_log import Pace
from dialer.engine.pace_samples import KEPT, PaceSamples

ONE, OTHER = UUID(int=1), UUID(int=2)
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def a_pace(after_s: float, place: int = 1, limit: Limit = Limit.AGENTS, theta: float = 0.02) -> Pace:
    return Pace(
        at=BEGAN + timedelta(seconds=after_s), place=place, limited_by=limit, ready=2.0, because=(("theta", theta),)
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 9), st.sampled_from(Limit), st.floats(0, 1)),
        min_size=1,
        max_size=60,
    )
)
def test_every_decision_is_in_the_minute_it_was_made_in(made: list[tuple[int, int, Limit, float]]) -> None:
    samples = PaceSamples()
    made.sort(key=lambda one: one[0])
    for after_s, place, limit, theta in made:
        samples.note(ONE, a_pace(after_s, place, limit, theta))
    found = samples.take(None)
    assert [one.began_at.minute for one in found] == sorted({after_s // 60 for after_s, *_ in made})
    for one in found:
        mine = [decision for decision in made if decision[0] // 60 == one.began_at.minute]
        assert (one.decisions, one.placed) == (len(mine), sum(place for _, place, *_ in mine))
        assert one.limits == {limit.value: sum(m[2] is limit for m in mine) for limit in {m[2] for m in mine}}
        thetas = [theta for *_, theta in mine]
        least, mean, most = one.figures["theta"]
        assert abs(least - min(thetas)) < 1e-6 > abs(most - max(thetas))
        assert abs(mean - sum(thetas) / len(thetas)) < 2e-6
        assert one.figures["ready"] == (2.0, 2.0, 2.0)


def test_a_minute_that_has_begun_is_not_taken_before_it_is_over() -> None:
    samples = PaceSamples()
    samples.note(ONE, a_pace(0))
    samples.note(OTHER, a_pace(70))
    assert [one.project_id for one in samples.take(BEGAN + timedelta(seconds=80))] == [ONE]
    assert [one.project_id for one in samples.take(None)] == [OTHER]
    assert samples.take(None) == []


def test_what_could_not_be_written_is_taken_again_and_the_oldest_go_first() -> None:
    samples = PaceSamples()
    for minute in range(KEPT + 5):
        samples.note(ONE, a_pace(60 * minute))
    taken = samples.take(None)
    assert len(taken) == KEPT
    assert taken[0].began_at == BEGAN + timedelta(minutes=5)
    samples.note(ONE, a_pace(60 * (KEPT + 5)))
    samples.give_back(taken)
    again = samples.take(None)
    assert (len(again), again[0].began_at) == (KEPT, BEGAN + timedelta(minutes=6))
    assert again[-1].began_at == BEGAN + timedelta(minutes=KEPT + 5)

"""What came of two versions side by side, with intervals that are right."""

from __future__ import annotations

import pytest

from campaigns.errors import Missing
from campaigns.life.intervals import Share, newcombe, wilson
from campaigns.scripts.assignments import assign, draw
from campaigns.scripts.responses import answer
from campaigns.scripts.results import pages, results
from campaigns.sql import Pool
from tests.builders import NOON, a_project
from tests.campaigns.questionnaires.builders import yes_no
from tests.campaigns.scripts.builders import EARLY, a_document, a_published, a_talk


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # Newcombe (1998), table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((6, 7), (2, 7), 0.0582, 0.8062), ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775), ((0, 10), (0, 10), -0.2775, 0.2775), ((10, 10), (0, 20), 0.6791, 1.0000), ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)  # fmt: skip
def test_differences_of_shares_have_the_published_intervals(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe(wilson(*one), wilson(*other))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.certain == (low > 0)


def test_a_difference_from_nothing_is_anything() -> None:
    found = newcombe(wilson(0, 0), wilson(3, 5))
    assert (found.value, found.low, found.high, found.certain) == (None, -1.0, 1.0, False)


async def test_both_versions_are_counted_by_the_draw_of_every_call(pool: Pool) -> None:
    project = await a_project(pool)
    used, tried = await a_published(pool, a_document(yes_no("a"))), await a_published(pool, a_document(yes_no("a")))
    with pytest.raises(Missing):
        await results(pool, project.id)
    await a_talk(pool, project, at=EARLY, over=True, disposition="agreed")
    async with pool.acquire() as conn:
        await assign(conn, project.id, used, trial=tried, trial_percent=50, now=NOON)
    calls = {True: 0, False: 0}
    for at in range(40):
        call = await a_talk(pool, project, bridged=at % 4 > 0, over=True, disposition="agreed" if at % 4 == 1 else None)
        calls[draw(call) < 50] += 1
        if at % 4 == 2:
            async with pool.acquire() as conn:
                await answer(conn, call, "a", True, now=NOON)
    found = await results(pool, project.id)
    assert found.trial is not None
    assert (found.used.attempts, found.trial.attempts) == (calls[False], calls[True])
    for name in ("connected", "complete", "converted", "answered"):
        both: list[Share] = [getattr(found.used, name), getattr(found.trial, name)]
        wanted = {"connected": (30, 40), "complete": (10, 30), "converted": (10, 30), "answered": (40, 40)}[name]
        assert (sum(one.count for one in both), sum(one.total for one in both)) == wanted
        assert found.differences[name] == newcombe(both[1], both[0])
    assert found.used.dispositions["agreed"].count + found.trial.dispositions["agreed"].count == 10
    listed = [one async for page in pages(pool, project.id, *used) for one in page]
    assert {(one.status, one.answers["a"], one.trial) for one in listed} == {("complete", "yes", False)}
    assert len(listed) == found.used.complete.count


async def test_an_assignment_of_the_past_keeps_its_figures(pool: Pool) -> None:
    from datetime import timedelta

    project = await a_project(pool)
    first, second = await a_published(pool, a_document(yes_no("a"))), await a_published(pool, a_document(yes_no("b")))
    async with pool.acquire() as conn:
        old = await assign(conn, project.id, first, now=EARLY)
        await a_talk(pool, project, at=EARLY, over=True, disposition="agreed")
        await assign(conn, project.id, second, now=NOON)
    await a_talk(pool, project, at=NOON + timedelta(seconds=1), over=True)
    before, now = await results(pool, project.id, assignment_id=old.id), await results(pool, project.id)
    assert (before.used.attempts, before.used.dispositions["agreed"].count) == (1, 1)
    assert (now.used.attempts, now.used.dispositions, now.trial, now.differences) == (1, {}, None, {})

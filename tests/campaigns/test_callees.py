"""Numbers that nobody has called for longer than any cap looks back are forgotten, a few at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from campaigns.callees import KEPT, forget_idle
from campaigns.sql import Pool
from tests.builders import a_project

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)


async def called(pool: Pool, number: str, *ago: timedelta) -> None:
    project = await a_project(pool)
    times = sorted(NOW - one for one in ago)
    nothing = [None] * len(times)
    await pool.execute(
        "insert into callees (number, called, projects, clients, answered, abandoned) values ($1, $2, $3, $4, $5, $5)",
        number, times, [project.id] * len(times), [project.client] * len(times), nothing,
    )  # fmt: skip


async def numbers(pool: Pool) -> list[str]:
    return [row["number"] for row in await pool.fetch("select number from callees order by number")]


async def test_number_whose_last_call_no_cap_can_count_is_forgotten_and_others_are_kept(pool: Pool) -> None:
    day = timedelta(days=1)
    await called(pool, "+8613800000001", KEPT, KEPT + day)
    await called(pool, "+8613800000002", KEPT - timedelta(microseconds=1), KEPT + day)
    await called(pool, "+8613800000003", 40 * day)
    assert await forget_idle(pool, NOW) == ("", 2)
    assert await numbers(pool) == ["+8613800000002"]


async def test_few_are_looked_at_a_time_and_it_begins_again_at_the_end(pool: Pool) -> None:
    for last in range(5):
        await called(pool, f"+861380000000{last}", KEPT if last % 2 else timedelta(hours=1))
    after, gone = await forget_idle(pool, NOW, at_most=2)
    assert (after, gone) == ("+8613800000001", 1)
    after, gone = await forget_idle(pool, NOW, after=after, at_most=2)
    assert (after, gone) == ("+8613800000003", 1)
    assert await forget_idle(pool, NOW, after=after, at_most=2) == ("", 0)
    assert await numbers(pool) == ["+8613800000000", "+8613800000002", "+8613800000004"]


async def test_number_that_a_claim_holds_now_is_left_alone(pool: Pool) -> None:
    await called(pool, "+8613800000001", KEPT)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from callees for update")
        assert await forget_idle(pool, NOW) == ("", 0)
    assert await forget_idle(pool, NOW) == ("", 1)

"""Somebody enters the number while it rings: the call goes on to its end, and there is no next one. On the real Asterisk, by the carrier's own books."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from campaigns import do_not_call
from dialer.domain.states import CallState
from lab.carrier import Behaviour
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_entry_made_while_it_rings_stops_the_next_attempt_and_no_other_number_s(floor: Floor) -> None:
    engine = await floor.start()
    project = await floor.project(ring_timeout_s=5, max_attempts=3)
    await floor.pool.execute(
        "update retry_rules set retry_after = interval '0', max_times = 2 where project_id = $1 and outcome = 'no_answer'",
        project.id,
    )
    refused, other = [await floor.lead(project, Behaviour.NO_ANSWER) for _ in range(2)]
    numbers = {row["id"]: row["number"] for row in await floor.pool.fetch("select id, number from leads")}
    calls = engine.parts.floor.calls
    for _ in range(2):
        await floor.agent(project)
    await floor.until(
        lambda: any(call.lead_id == refused and call.state is CallState.RINGING for call in calls.values()),
        "ringing",
        15,
    )
    now = datetime.now(UTC)  # noqa: TID251  # the moment of the machine on which it rings
    assert await do_not_call.add(floor.pool, [numbers[refused]], reason="asked", source="test", now=now) == 1

    async def other_is_used_up() -> bool:
        return len(await floor.attempts(other)) == 3 and not calls

    await floor.until(other_is_used_up, "three attempts of the other number", 60)

    async def refused_has_left_the_list() -> bool:
        return bool(await floor.pool.fetchval("select state = 'do_not_call' from leads where id = $1", refused))

    await floor.until(refused_has_left_the_list, "the refused number off the list", 10)
    assert [row["outcome"] for row in await floor.attempts(refused)] == ["no_answer"]
    seen = Counter(record.number for record in floor.telephony.carrier.cdr() if record.number in numbers.values())
    assert seen == {numbers[refused]: 1, numbers[other]: 3}

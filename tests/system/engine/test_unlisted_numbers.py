"""On the real Asterisk: hundreds of calls whose leads ask for another number, while the project's numbers are retired, taken off the list and put back; every INVITE is read off the wire.

The rest of the ten thousand tries: `tests/campaigns/caller_numbers/test_unlisted.py`.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from campaigns.caller_numbers import pool as caller_numbers
from campaigns.caller_numbers.number import CallerNumber
from campaigns.states import CallerNumberState
from dialer.domain.commands import ReloadProject
from lab.trunk_peer import SeenInvite
from tests.builders import a_caller_number
from tests.system.engine.conftest import Floor

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

CALLS = 400
UNDER_WAY_S = 0.5
"""An Originate that was written before the change was answered may still be on its way through Asterisk."""


async def test_no_invite_of_four_hundred_shows_a_number_that_the_project_may_not_show_at_that_time(
    floor: Floor,
) -> None:
    peer, loop = floor.telephony.peer, asyncio.get_running_loop()
    await floor.start()
    project = await floor.project(max_attempts=9)
    assert project.trunk is not None
    ours = [await a_caller_number(floor.pool, project.trunk.id, f"+8621666600{n:02d}") for n in range(4)]
    await a_caller_number(floor.pool, project.trunk.id, "+862195588000")  # of the trunk, on no list
    await caller_numbers.allow(floor.pool, project.id, [one.id for one in ours])
    await floor.pool.execute("update trunks set endpoint = 'peer', max_cps = 100, pai = 'e164', domain = 'c.example'")
    await floor.pool.execute(
        """insert into leads (project_id, number, name, fields, last_caller_number)
           select $1, '+86137' || lpad(i::text, 8, '0'), '"95588" <+862195588000>', '{"caller_number": "+862195588000", "CallerID": "95588"}', '+862195588000'
           from generate_series(1, $2) i""",
        project.id,
        CALLS,
    )
    seen_at: list[tuple[float, SeenInvite]] = []
    gone: dict[str, list[tuple[float, float]]] = {one.number: [] for one in ours}
    peer.seen.clear()
    peer.on_invite = lambda invite: seen_at.append((loop.time(), invite))

    async def told() -> None:
        await floor.engine.execute(ReloadProject(project_id=project.id))

    async def change(one: CallerNumber, *, retire: bool) -> None:
        if retire:
            await caller_numbers.set_state(floor.pool, one.id, CallerNumberState.RETIRED, "given back")
        else:
            await caller_numbers.allow(floor.pool, project.id, [two.id for two in ours if two is not one])
        await told()
        since = loop.time() + UNDER_WAY_S
        await floor.until(lambda: loop.time() > since + 0.7, "a while without the number")
        gone[one.number].append((since, loop.time()))
        if retire:
            await caller_numbers.set_state(floor.pool, one.id, CallerNumberState.ACTIVE, "again")
        else:
            await caller_numbers.allow(floor.pool, project.id, [two.id for two in ours])
        await told()

    for _ in range(5):
        await floor.agent(project)
    rng = random.Random(11)
    try:
        while len(seen_at) < CALLS:
            await change(rng.choice(ours), retire=rng.random() < 0.5)
    finally:
        peer.on_invite = None

    listed = {one.number for one in ours}
    assert len({invite.called for _, invite in seen_at}) == CALLS
    assert {invite.from_user for _, invite in seen_at} == listed, "each of them was shown at some time"
    assert sum(len(times) for times in gone.values()) >= 3
    for at, invite in seen_at:
        assert invite.numbers == {invite.from_user}
        assert not any(since <= at <= until for since, until in gone[invite.from_user]), "it was withdrawn then"

"""Two engines for one node: the second is refused while the first lives, and follows it within the lease when it dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lab.ports import free_port
from tests.faults.call_centre import CallCentre, Step

pytestmark = [
    pytest.mark.system,
    pytest.mark.faults,
    pytest.mark.services,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]

LEASE_S = 3.0  # of the settings


@pytest.mark.parametrize("place", ["same machine", "another machine"])
async def test_second_engine_is_refused_by_name_and_disturbs_nothing(
    centre: CallCentre, tmp_path: Path, place: str
) -> None:
    leads = await centre.reach(Step.BRIDGED)
    before = await centre.channels()
    other_spool = {"spool_dir": str(tmp_path)} if place == "another machine" else {}
    second = await centre.another_engine(control_port=str(free_port()), agi_port=str(free_port()), **other_spool)
    async with asyncio.timeout(40):
        while second.running:  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.05)
    assert second.returncode not in {0, None}
    assert "node_taken" in second.log_tail()
    assert before.calls <= (await centre.channels()).bridged
    assert (await centre.agent())["state"] == "talking"
    await centre.finish(leads)
    attempts = await centre.attempts_of(leads)
    assert [attempt.outcome for attempt in attempts] == ["connected"]
    assert await centre.violations_of(attempts, excused=False) == set()


async def test_second_engine_on_another_machine_takes_over_within_the_lease_when_the_first_is_killed(
    centre: CallCentre, tmp_path: Path
) -> None:
    leads = await centre.reach(Step.BRIDGED)
    before = await centre.channels()
    loop = asyncio.get_running_loop()
    centre.floor.waihu.kill()
    killed_s = loop.time()
    await centre.another_engine(spool_dir=str(tmp_path))
    await centre.works(20.0)
    assert loop.time() - killed_s < LEASE_S + 5.0
    assert before.calls <= (await centre.channels()).bridged
    await centre.agent_is("talking")
    await centre.finish(leads)
    attempts = await centre.attempts_of(leads)
    assert [attempt.outcome for attempt in attempts] == ["connected"]

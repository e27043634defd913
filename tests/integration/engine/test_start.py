"""What an engine reads and tells when it starts."""

from __future__ import annotations

import pytest

from tests.builders import a_device, an_agent
from tests.integration.engine.conftest import Stage

pytestmark = [pytest.mark.services]

OLD, NEW = "0" * 32, "1" * 32


async def test_asterisk_is_told_all_devices_with_their_digests_and_forgets_the_others(stage: Stage) -> None:
    agent_id = await an_agent(stage.pool)
    ids = [await a_device(stage.pool, agent_id) for _ in range(3)]
    names = {id_: await stage.pool.fetchval("select username from devices where id = $1", id_) for id_ in ids}
    missing, rotated, removed = (names[id_] for id_ in ids)
    await stage.pool.execute("update devices set digest = $1", NEW)
    await stage.pool.execute("update devices set removed_at = now() where id = $1", ids[2])
    stage.asterisk.devices = {rotated: OLD, removed: NEW, "device-of-nobody": NEW}
    await stage.start()
    await stage.until(lambda: stage.asterisk.devices == {missing: NEW, rotated: NEW}, "the node's devices in Asterisk")


async def test_a_device_that_asterisk_refuses_does_not_keep_the_others_out(stage: Stage) -> None:
    agent_id = await an_agent(stage.pool)
    for _ in range(3):
        await a_device(stage.pool, agent_id)
    stage.asterisk.script.fates["Originate"] = ["refused"]
    await stage.start()
    await stage.until(lambda: len(stage.asterisk.devices) == 2, "the other devices in Asterisk")


async def test_projects_and_assignments_that_changed_while_no_engine_ran_are_known_at_once(stage: Stage) -> None:
    await stage.start(projects_every_s=3600)
    project = await stage.project(ratio=1)
    await stage.engine.parts.projects.refresh()
    await stage.die()
    await stage.pool.execute("update projects set ratio = 2.5, state = 'paused' where id = $1", project.id)
    await stage.start(projects_every_s=3600)
    found = stage.engine.parts.projects.find(project.id)
    assert found is not None
    assert (float(found.ratio), found.state) == (2.5, "paused")
    assert stage.engine.explain_project(project.id)["why"] == "paused"

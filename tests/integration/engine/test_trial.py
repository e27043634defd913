"""A trial through an engine: it stops at its sample and says so, over a restart and a change of mode."""

from __future__ import annotations

import pytest

from campaigns import projects
from campaigns.projects import Project
from dialer.domain.commands import ReloadProject
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def set_to(stage: Stage, project: Project, **settings: object) -> None:
    await projects.update_project(stage.pool, project.id, **settings)
    await stage.engine.execute(ReloadProject(project_id=project.id))


def why(stage: Stage, project: Project) -> str:
    return str(stage.engine.explain_project(project.id)["why"])


async def test_a_trial_stops_at_its_sample_says_so_and_a_restart_begins_no_new_one(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="trial", trial_size=3)
    await stage.leads(project, 6)
    await stage.agent(project)
    for _ in range(3):
        call = await stage.call()
        assert call.mode.value == "trial"
        stage.asterisk.refuse(call.attempt_id, 17, "486")
        await stage.ended_row(call.attempt_id)
    await stage.until(lambda: why(stage, project) == "sample", "the sample full")
    await stage.die()
    await stage.start()
    await stage.until(lambda: why(stage, project) == "sample", "the sample still full")
    assert len(stage.asterisk.sent_calls()) == 3
    await set_to(stage, project, trial_size=4)
    await stage.call()


async def test_a_trial_becomes_the_formal_run_in_the_middle(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="trial", trial_size=1)
    await stage.leads(project, 4)
    for _ in range(3):
        await stage.agent(project)
    first = await stage.call()
    await stage.until(lambda: why(stage, project) == "sample", "the sample full")
    await set_to(stage, project, mode="progressive")
    await stage.call(3)
    told = await stage.asterisk.answer(first.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge", "the call of the trial goes on"
    stage.asterisk.hang_up(first.attempt_id)
    assert (await stage.ended_row(first.attempt_id))["mode"] == "trial"
    modes = [row["mode"] for row in await stage.pool.fetch("select mode from attempts order by id")]
    assert modes[:3] == ["trial", "progressive", "progressive"]

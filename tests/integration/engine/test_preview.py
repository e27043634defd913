"""Preview through an engine: shown, dialled or skipped, and what the limit does."""

from __future__ import annotations

from uuid import UUID

import pytest

from campaigns.projects import Project
from dialer.domain.commands import AgentBreak, Dial, PauseProject, PreviewNext, PreviewSkip
from dialer.domain.errors import Conflict, Unavailable
from dialer.domain.states import AgentState
from lab.postgres import Postgres
from tests.builders import a_number
from tests.integration.engine.conftest import Stage

pytestmark = pytest.mark.services


async def show(stage: Stage, agent_id: UUID, project: Project) -> int:
    """The lead this agent is shown now."""
    done = await stage.engine.execute(PreviewNext(agent_id=agent_id, project_id=project.id))
    assert done.state == "preview"
    assert done.lead_id is not None
    return done.lead_id


def end_the_limit(stage: Stage, agent_id: UUID) -> None:
    """The time for looking at the lead is over."""
    timer = stage.on_floor(agent_id).timer
    assert timer is not None
    callback, arguments = timer._callback, timer._args  # type: ignore[attr-defined]
    timer.cancel()
    callback(*arguments)


async def passes(stage: Stage) -> list[tuple[int, str, str]]:
    rows = await stage.pool.fetch("select lead_id, how, reason from preview_passes order by id")
    return [(row["lead_id"], row["how"], row["reason"]) for row in rows]


async def test_a_lead_is_dialled_by_itself_when_the_project_says_so_and_the_limit_is_over(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview", preview_at_limit="dial")
    [lead_id] = await stage.leads(project, 1)
    agent_id = await stage.agent(project, wanted="break")
    assert await show(stage, agent_id, project) == lead_id
    end_the_limit(stage, agent_id)
    call = await stage.call()
    assert (call.lead_id, call.wanted_agent, call.mode.value) == (lead_id, agent_id, "preview")
    told = await stage.asterisk.answer(call.attempt_id)
    assert told["WAIHU_ACTION"] == "bridge"
    await stage.until(lambda: stage.state(agent_id) is AgentState.TALKING, "conversation")
    assert await passes(stage) == []


async def test_a_lead_is_given_back_at_the_limit_and_not_shown_to_the_same_agent_at_once(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview", preview_skip_wait_s=0)
    [lead_id] = await stage.leads(project, 1)
    agent_id = await stage.agent(project, wanted="break")
    await show(stage, agent_id, project)
    end_the_limit(stage, agent_id)
    assert stage.state(agent_id) is AgentState.BREAK

    async def given_back() -> bool:
        return await passes(stage) == [(lead_id, "lapsed", "")]

    await stage.until(given_back, "the pass written")
    with pytest.raises(Conflict) as refused:
        await show(stage, agent_id, project)
    assert refused.value.error_id == "no_lead"
    assert await show(stage, await stage.agent(project, wanted="break"), project) == lead_id
    assert stage.asterisk.sent_calls() == []


async def test_a_lead_that_may_not_be_dialled_any_more_at_the_limit_is_given_back(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview", preview_at_limit="dial")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project, wanted="break")
    await show(stage, agent_id, project)
    await stage.engine.execute(PauseProject(project_id=project.id))
    end_the_limit(stage, agent_id)
    await stage.until(lambda: stage.state(agent_id) is AgentState.BREAK, "the end of the preview")
    assert stage.asterisk.sent_calls() == []


async def test_a_skip_needs_a_reason_is_counted_and_shows_the_next_lead(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview", preview_skips_per_hour=1)
    first, second = await stage.leads(project, 2)
    agent_id = await stage.agent(project, wanted="ready")
    assert await show(stage, agent_id, project) == first
    feed = stage.engine.feed.snapshot()["state"]["agent"][str(agent_id)]
    assert (feed["preview_at_limit"], feed["preview_skips_left"], feed["lead_id"]) == ("give_back", 1, first)
    await stage.engine.execute(PreviewSkip(agent_id=agent_id, reason="wrong name"))
    assert stage.state(agent_id) is AgentState.READY
    assert await show(stage, agent_id, project) == second
    with pytest.raises(Conflict) as refused:
        await stage.engine.execute(PreviewSkip(agent_id=agent_id, reason="no time"))
    assert refused.value.error_id == "skips_used_up"
    assert stage.state(agent_id) is AgentState.PREVIEW
    assert stage.on_floor(agent_id).timer is not None, "the limit goes on"
    assert await passes(stage) == [(first, "skipped", "wrong name")]


async def test_no_way_around_the_skip_rules_another_lead_is_neither_shown_nor_dialled(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview", preview_skips_per_hour=0)
    first, second = await stage.leads(project, 2)
    agent_id = await stage.agent(project, wanted="break")
    await show(stage, agent_id, project)
    for command in (
        PreviewNext(agent_id=agent_id, project_id=project.id),
        Dial(agent_id=agent_id, project_id=project.id, lead_id=second),
        Dial(agent_id=agent_id, project_id=project.id, number=a_number()),
    ):
        with pytest.raises(Conflict) as refused:
            await stage.engine.execute(command)
        assert refused.value.error_id == "lead_shown"
    await stage.engine.execute(Dial(agent_id=agent_id, project_id=project.id, lead_id=first))
    assert (await stage.call()).lead_id == first


async def test_a_break_gives_the_lead_back_and_is_written_down(stage: Stage) -> None:
    await stage.start()
    project = await stage.project(mode="preview")
    [lead_id] = await stage.leads(project, 1)
    agent_id = await stage.agent(project)
    await show(stage, agent_id, project)
    await stage.engine.execute(AgentBreak(agent_id=agent_id, reason="tea"))

    async def left() -> bool:
        return await passes(stage) == [(lead_id, "left", "")]

    await stage.until(left, "the pass written")
    assert await show(stage, agent_id, project) == lead_id


@pytest.mark.faults
async def test_a_skip_that_cannot_be_written_is_refused_and_the_lead_stays_shown(
    stage: Stage, postgres: Postgres
) -> None:
    await stage.start(lease_s=60)
    project = await stage.project(mode="preview")
    await stage.leads(project, 1)
    agent_id = await stage.agent(project, wanted="break")
    await show(stage, agent_id, project)
    postgres.kill()
    try:
        with pytest.raises(Unavailable) as refused:
            await stage.engine.execute(PreviewSkip(agent_id=agent_id, reason="no time"))
        assert refused.value.error_id == "database_away"
        assert stage.state(agent_id) is AgentState.PREVIEW
    finally:
        await postgres.start()
    await stage.engine.execute(PreviewSkip(agent_id=agent_id, reason="no time"))
    assert stage.state(agent_id) is AgentState.BREAK

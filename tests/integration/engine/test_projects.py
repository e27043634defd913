"""What the engine knows of projects: a change it was told of is not forgotten by a reading that began before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from campaigns import projects as projects_db
from campaigns.sql import Pool
from dialer.engine.clock import SystemClock
from dialer.engine.projects import Projects
from tests.builders import NODE, a_project

pytestmark = pytest.mark.services


async def test_what_was_committed_before_a_refresh_is_known_after_it_though_another_was_under_way(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await a_project(pool, mode="progressive")
    known = Projects(pool, NODE, SystemClock())
    read, go_on = asyncio.Event(), asyncio.Event()
    list_projects = projects_db.list_projects

    async def slow_at_first(*arguments: Any, **named: Any) -> Any:
        found = await list_projects(*arguments, **named)
        if not read.is_set():
            read.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(projects_db, "list_projects", slow_at_first)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(known.refresh())
        await read.wait()
        await projects_db.update_project(pool, project.id, mode="agentless")
        later = tasks.create_task(known.refresh())
        await asyncio.wait([later], timeout=0.2)
        go_on.set()
    found = known.find(project.id)
    assert found is not None
    assert found.mode == "agentless"


async def test_a_change_is_kept_over_a_reading_of_all_projects_that_began_before_it(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await a_project(pool, mode="progressive")
    known = Projects(pool, NODE, SystemClock())
    await known.refresh()
    read, go_on = asyncio.Event(), asyncio.Event()
    list_projects = projects_db.list_projects

    async def slow(*arguments: Any, **named: Any) -> Any:
        found = await list_projects(*arguments, **named)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(projects_db, "list_projects", slow)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(known.refresh())
        await read.wait()
        await projects_db.update_project(pool, project.id, mode="agentless")
        await known.reload(project.id)
        go_on.set()
    found = known.find(project.id)
    assert found is not None
    assert found.mode == "agentless"
    await known.refresh()
    found = known.find(project.id)
    assert found is not None
    assert found.mode == "agentless"

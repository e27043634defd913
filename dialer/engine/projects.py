"""The projects as the engine needs them: read from PostgreSQL, kept in memory, so that calls never wait for a query."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import asyncpg

from campaigns import projects as projects_db
from campaigns.abandonment import agent_wait_ms
from campaigns.life.steps import By, take
from campaigns.life.table import TABLE, Kind, Step
from campaigns.projects import Project
from campaigns.states import ProjectState
from dialer.domain.commands import Person
from dialer.engine.clock import Clock


class Projects:
    """All projects that are not archived, and those that calls or agents of ours belong to."""

    def __init__(self, pool: asyncpg.Pool, node: str, clock: Clock) -> None:
        self._pool = pool
        self._node = node
        self._clock = clock
        self._projects: dict[UUID, Project] = {}
        self._reread: set[UUID] = set()  # since the last refresh began
        self._refreshing = asyncio.Lock()

    def __iter__(self) -> Iterator[Project]:
        return iter(self._projects.values())

    def find(self, project_id: UUID) -> Project | None:
        """The project, if it is known."""
        return self._projects.get(project_id)

    def dialled_here(self) -> list[Project]:
        """Running projects whose trunk is on this node."""
        return [project for project in self._projects.values() if self.runs_here(project)]

    def runs_here(self, project: Project) -> bool:
        """Is it running, over a trunk of this node?"""
        trunk = project.trunk
        return (
            project.state is ProjectState.RUNNING and trunk is not None and trunk.node == self._node and trunk.enabled
        )

    def belongs_here(self, project_id: UUID) -> bool:
        """Is its trunk of this node, whether it is dialled or not?"""
        project = self._projects.get(project_id)
        return project is not None and project.trunk is not None and project.trunk.node == self._node

    def agent_wait_s(self, project_id: UUID) -> float:
        """How long an answered customer may wait for an agent."""
        project = self._projects.get(project_id)
        return (agent_wait_ms(project, self._clock.now()) if project else 2000) / 1000

    def priority(self, project_id: UUID) -> int:
        """Customers of a project with a higher one get an agent first."""
        project = self._projects.get(project_id)
        return project.share_priority if project else 0

    def wrap_up_limit_s(self, project_id: UUID) -> float:
        """How long an agent may wrap up; 0: no wrap-up."""
        project = self._projects.get(project_id)
        return float(project.wrap_up_limit_s) if project else 60.0

    def recording_pause_limit_s(self, project_id: UUID) -> float:
        """How long a recording may be paused; 0: not at all."""
        project = self._projects.get(project_id)
        return float(project.recording_pause_limit_s) if project else 120.0

    def shows_numbers(self, project_id: UUID) -> bool:
        """May numbers of this project be shown?"""
        project = self._projects.get(project_id)
        return project is not None and not project.mask_numbers

    async def refresh(self) -> None:
        """Read all that can be dialled again; one that was read by itself meanwhile is newer than this. Errors: those of a lost PostgreSQL."""
        async with self._refreshing:  # what another has begun to read may be older than what is asked for
            self._reread.clear()
            async with self._pool.acquire(timeout=5) as conn:
                found = await projects_db.list_projects(conn)
            kept = {project.id: project for project in found if project.state is not ProjectState.ARCHIVED}
            newer = {project_id: self._projects[project_id] for project_id in self._reread}
            self._projects = kept | newer

    async def reload(self, project_id: UUID) -> Project:
        """Read one again. Errors: NotFound `project_unknown`."""
        async with self._pool.acquire(timeout=5) as conn:
            project = await projects_db.load_project(conn, project_id)
        self._know(project)
        return project

    async def get(self, project_id: UUID) -> Project:
        """From memory, else from PostgreSQL."""
        return self._projects.get(project_id) or await self.reload(project_id)

    async def take(self, project_id: UUID, by: Person, *steps: Step) -> Project:
        """Take the first of these steps that leads on (or is so already). Errors: as campaigns.life.steps.take."""
        async with self._pool.acquire(timeout=5) as conn:
            project = await projects_db.load_project(conn, project_id)
            step = next((one for one in steps if TABLE[project.life, one].kind is not Kind.REFUSED), steps[0])
            taken = await take(
                conn,
                project_id,
                step,
                by=By(actor=by.actor, role=by.role, user_id=by.user_id),
                now=self._clock.now(),
            )
        self._know(taken.project)
        return taken.project

    def _know(self, project: Project) -> None:
        self._projects[project.id] = project
        self._reread.add(project.id)

"""Projects: make, change, start, pause. What belongs to one (agents, dispositions, ...) is in `settings.py`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from campaigns import projects as campaign_projects
from campaigns.states import ProjectState as State
from dialer.db.sql import Connection
from dialer.domain.commands import Done, PauseProject, Person, StartProject
from dialer.domain.errors import NotFound, WaihuError
from dialer.domain.roles import Role
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.commands import reload_project, run
from dialer.web.fields import Page, after_cursor, page_of, plain_text
from dialer.web.identity import actor_of
from dialer.web.projects.types import NewProject, Project, ProjectChange, ProjectQuery, ProjectState
from dialer.web.roles import PLANNERS, PROJECT_READERS


@operation("GET", "/projects", roles=PROJECT_READERS, summary="List projects")
async def list_projects(call: Call, query: ProjectQuery) -> Page[Project]:
    """By name. An agent sees the projects they work on."""
    after = after_cursor(query.cursor, plain_text)
    async with call.connection() as conn:
        rows = await campaign_projects.list_projects(
            conn,
            state=State(query.state) if query.state else None,
            agent_id=only_own(call),
            after=after[0] if after else None,
            limit=query.limit + 1,
        )
    return page_of(rows, query.limit, Project.model_validate, lambda row: [row.name])


@operation("POST", "/projects", roles=PLANNERS, summary="Create a project", status=201)
async def create_project(call: Call, body: NewProject) -> Project:
    """A draft, with the usual dispositions and retry rules, and nothing to dial with yet. Without `sign_offs` it is as the installation is set."""
    values = {"sign_offs": call.deps.settings.project_sign_offs} | given(body)
    async with call.transaction() as conn:
        project = await campaign_projects.create_project(conn, **values)
        await call.audit(conn, "project_created", "project", project.id, name=body.name, sign_offs=project.sign_offs)
    call.parts.masks.forget()
    return Project.model_validate(project)


@operation("GET", "/projects/{project_id}", roles=PROJECT_READERS, summary="A project")
async def get_project(call: Call, project_id: UUID) -> Project:
    """One project; an agent sees those they work on."""
    async with call.connection() as conn:
        return Project.model_validate(await there(conn, project_id, only_own(call)))


@operation("PATCH", "/projects/{project_id}", roles=PLANNERS, summary="Change a project")
async def change_project(call: Call, project_id: UUID, body: ProjectChange) -> Project:
    """What is left out or null stays; the engine takes the change at once."""
    values = given(body)
    async with call.transaction() as conn:
        project = await campaign_projects.update_project(conn, project_id, **values)
        shown = {name: value for name, value in values.items() if name != "script"}
        await call.audit(conn, "project_changed", "project", project_id, changed=sorted(values), **shown)
    call.parts.masks.forget()
    await reload_project(call, project_id)
    return Project.model_validate(project)


@operation("POST", "/projects/{project_id}/start", roles=PLANNERS, summary="Dial a project")
async def start_project(call: Call, project_id: UUID) -> ProjectState:
    """A draft without sign-offs is started, what is paused is resumed; the engine begins to place calls, as far as the rules let it (`why` tells)."""
    return await _command(call, project_id, StartProject(project_id=project_id, by=person(call)), "project_started")


@operation(
    "POST", "/projects/{project_id}/pause", roles=PLANNERS | {Role.TEAM_LEADER}, summary="Stop dialling a project"
)
async def pause_project(call: Call, project_id: UUID) -> ProjectState:
    """No new calls; those that ring may still be answered, conversations go on."""
    return await _command(call, project_id, PauseProject(project_id=project_id, by=person(call)), "project_paused")


@operation(
    "POST",
    "/projects/{project_id}/stop",
    roles=PLANNERS | {Role.TEAM_LEADER},
    summary="Stop dialling a project now: hang up what rings",
)
async def stop_project(call: Call, project_id: UUID) -> ProjectState:
    """As `pause`, and calls that ring are given up; who answers in that instant is served, and conversations go on."""
    command = PauseProject(project_id=project_id, by=person(call), hang_up_ringing=True)
    return await _command(call, project_id, command, "project_stopped")


async def _command(call: Call, project_id: UUID, command: StartProject | PauseProject, action: str) -> ProjectState:
    """The audit row is written before the engine is asked, and committed with its answer: when it refuses, the row says so."""
    done: Done | WaihuError
    async with call.transaction() as conn:
        await there(conn, project_id)
        try:
            async with conn.transaction():
                await call.audit(conn, action, "project", project_id)
                done = await run(call, command)
        except WaihuError as error:
            done = error
            await call.audit(conn, action, "project", project_id, refused=error.error_id)
    if isinstance(done, WaihuError):
        raise done
    return ProjectState(project_id=project_id, state=done.state)


def person(call: Call) -> Person:
    """Who asks, for the project's books."""
    identity = call.identity
    return Person(actor=actor_of(identity), role=identity.role.value, user_id=identity.user_id)


def given(body: NewProject) -> dict[str, Any]:
    """The columns a body speaks of, as plain values."""
    return {
        name: value.value if hasattr(value, "value") else value
        for name in type(body).model_fields
        if (value := getattr(body, name)) is not None
    }


def only_own(call: Call) -> UUID | None:
    """The agent whose projects alone may be seen; None for those who see all. Errors: NotFound for an agent's user without an agent."""
    if call.identity.role != Role.AGENT:
        return None
    if call.identity.agent_id is None:
        raise NotFound("agent_unknown", "Your user is no agent yet: ask your team leader.")
    return call.identity.agent_id


async def there(conn: Connection, project_id: UUID, agent_id: UUID | None = None) -> campaign_projects.Project:
    """The project (of an agent, when one is given). Errors: 404 `project_unknown`."""
    return await campaign_projects.load_project(conn, project_id, agent_id=agent_id)

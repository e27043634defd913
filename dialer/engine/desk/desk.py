"""One door for all commands: finds the agent, keeps an agent's commands one after the other, gives the work to its part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import assert_never
from uuid import UUID

from campaigns.life.table import Step
from campaigns.projects import Project
from dialer.domain.commands import (
    AgentBreak,
    AgentCommand,
    AgentLogin,
    AgentLogout,
    AgentReady,
    Command,
    Dial,
    Done,
    HangUp,
    Hold,
    PauseProject,
    PauseRecording,
    PreviewNext,
    PreviewSkip,
    ProvisionDevice,
    ReloadProject,
    RemoveDevice,
    Resume,
    ResumeRecording,
    StartProject,
    Transfer,
    WrapUp,
)
from dialer.engine.desk.dialling import Dialling
from dialer.engine.desk.pausing import Pausing
from dialer.engine.desk.presence import Presence, logged_in
from dialer.engine.desk.previewing import Previewing
from dialer.engine.desk.results import Results
from dialer.engine.desk.talking import Talking
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Floor
from dialer.engine.giving_up import GivingUp
from dialer.engine.projects import Projects


class Desk:
    """`execute` answers a `Done` or raises one of `dialer.domain.errors`."""

    def __init__(
        self,
        floor: Floor,
        presence: Presence,
        dialling: Dialling,
        previewing: Previewing,
        talking: Talking,
        pausing: Pausing,
        results: Results,
        projects: Projects,
        giving_up: GivingUp,
        *,
        provision: Callable[[UUID], Awaitable[None]],
        unprovision: Callable[[UUID], Awaitable[None]],
        on_project: Callable[[UUID], Awaitable[None]],
    ) -> None:
        self._floor = floor
        self._presence = presence
        self._dialling = dialling
        self._previewing = previewing
        self._talking = talking
        self._pausing = pausing
        self._results = results
        self._projects = projects
        self._giving_up = giving_up
        self._provision = provision
        self._unprovision = unprovision
        self._on_project = on_project
        self._in_hand: dict[UUID, asyncio.Lock] = {}

    async def execute(self, command: Command) -> Done:
        """Do it."""
        match command:
            case StartProject() | PauseProject() | ReloadProject():
                return await self._project(command)
            case ProvisionDevice():
                with client_errors():
                    await self._provision(command.device_id)
                return Done(state="provisioned")
            case RemoveDevice():
                for agent_id in self._presence.device_removed(command.device_id):
                    await self.execute(AgentLogout(agent_id=agent_id))
                with client_errors():
                    await self._unprovision(command.device_id)
                return Done(state="removed")
            case _:
                lock = self._in_hand.setdefault(command.agent_id, asyncio.Lock())
                async with lock:
                    return await self._agent(command)

    async def _agent(self, command: AgentCommand) -> Done:  # noqa: C901, PLR0912 - one line for each command
        match command:
            case AgentLogin():
                return await self._presence.login(command)
            case AgentLogout():
                return self._presence.logout(command)
            case AgentReady():
                return self._presence.ready(command)
            case AgentBreak():
                return self._presence.pause(command)
            case _:
                pass
        agent = logged_in(self._floor, command.agent_id)
        match command:
            case Dial():
                return await self._dialling.dial(agent, command)
            case PreviewNext():
                return await self._previewing.show_next(agent, command)
            case PreviewSkip():
                return await self._previewing.skip(agent, command)
            case HangUp():
                return await self._talking.hang_up(agent)
            case Hold():
                return await self._talking.hold(agent)
            case Resume():
                return await self._talking.resume(agent)
            case PauseRecording():
                return await self._pausing.pause(agent, command)
            case ResumeRecording():
                return await self._pausing.resume(agent)
            case Transfer():
                return await self._talking.transfer(agent, command)
            case WrapUp():
                return await self._results.wrap_up(agent, command)
            case _:
                assert_never(command)

    async def _project(self, command: StartProject | PauseProject | ReloadProject) -> Done:
        with client_errors():
            project = await self._changed(command)
            await self._on_project(project.id)
        return Done(state=project.state.value)

    async def _changed(self, command: StartProject | PauseProject | ReloadProject) -> Project:
        match command:
            case StartProject():
                return await self._projects.take(command.project_id, command.by, Step.START, Step.RESUME)
            case PauseProject():
                project = await self._projects.take(command.project_id, command.by, Step.PAUSE)
            case ReloadProject():
                project = await self._projects.reload(command.project_id)
            case _:
                assert_never(command)
        if command.hang_up_ringing:
            for call in list(self._floor.calls.values()):
                if call.project_id == project.id:
                    self._giving_up.begin(call)
        return project

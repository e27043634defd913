"""Handing commands to the engine, with a deadline."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from dialer.domain.commands import Command, Done, ReloadProject
from dialer.domain.errors import Unavailable
from dialer.web.call import Call

log = structlog.get_logger(__name__)
ENGINE_WAIT_S = 10.0


async def run(call: Call, command: Command) -> Done:
    """Have it done. Errors: the engine's; Unavailable `engine_away` when it cannot be asked or does not answer."""
    try:
        async with asyncio.timeout(ENGINE_WAIT_S):
            return await call.deps.engine.execute(command)
    except TimeoutError:
        raise Unavailable(
            "engine_away", "The engine does not answer: look at the present state before you try again."
        ) from None


async def reload_project(call: Call, project_id: UUID, *, hang_up_ringing: bool = False) -> None:
    """Tell the engine that a project has changed. It reads every project when it starts, so one that is away misses nothing."""
    try:
        await run(call, ReloadProject(project_id=project_id, hang_up_ringing=hang_up_ringing))
    except Unavailable as error:
        log.warning(
            "the engine was not told of a project's change", project_id=str(project_id), error_id=error.error_id
        )

"""The result of a conversation: the disposition ends the wrap-up and moves the lead."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import asyncpg

from campaigns.release import Wrapped, wrap_up
from campaigns.release import WrapUp as Result
from campaigns.scripts import responses
from campaigns.sql import OneConnection
from dialer.domain.commands import Done, WrapUp
from dialer.domain.errors import Conflict
from dialer.domain.states import AgentState
from dialer.engine.agents import Agents
from dialer.engine.clock import Clock
from dialer.engine.desk.translate import client_errors
from dialer.engine.floor import Agent

_TRIES = 3


class Results:
    """Writes what the agent said, at once: the agent sees whether it was kept. `on_wrapped` is told of project, call and result."""

    def __init__(self, pool: asyncpg.Pool, agents: Agents, clock: Clock) -> None:
        self._pool = pool
        self._agents = agents
        self._clock = clock
        self.on_wrapped: list[Callable[[UUID, UUID, str], None]] = []

    async def wrap_up(self, agent: Agent, command: WrapUp) -> Done:
        """Errors: Conflict `no_wrap_up`, `question_required`, `selection_required`, `clause_required`; BadRequest `disposition_unknown`, `callback_time_missing`; Unavailable."""
        attempt_id, project_id = agent.attempt_id, agent.project_id
        if agent.state is not AgentState.WRAP_UP or attempt_id is None:
            raise Conflict("no_wrap_up", "You have no call to wrap up.")
        result = Result(
            attempt_id=attempt_id,
            disposition=command.disposition,
            now=self._clock.now(),
            note=command.note,
            agent_id=agent.agent_id,
            callback_at=command.callback_at,
            callback_personal=command.callback_personal,
            fields=command.fields,
        )
        with client_errors():
            wrapped = await self._write(result)
        if project_id is not None:
            for tell in self.on_wrapped:
                tell(project_id, attempt_id, command.disposition)
        if agent.attempt_id == attempt_id:  # the limit of the wrap-up may have passed meanwhile
            self._agents.settle(agent)
        return Done(state=agent.state.value, attempt_id=attempt_id, lead_id=wrapped.lead_id)

    async def _write(self, result: Result) -> Wrapped:
        """It may be repeated, and is when PostgreSQL undid it in favour of somebody who wanted the same rows in another order."""
        for _ in range(_TRIES - 1):
            with suppress(asyncpg.DeadlockDetectedError):
                async with self._pool.acquire(timeout=5) as conn:
                    return await _kept(conn, result)
        async with self._pool.acquire(timeout=5) as conn:
            return await _kept(conn, result)


async def _kept(conn: OneConnection, result: Result) -> Wrapped:
    """Write a result for which nothing of the script is missing; then the quotas have back what it did not complete."""
    await responses.check_result(conn, result.attempt_id, result.disposition)
    wrapped = await wrap_up(conn, result)
    await responses.close(conn, result.attempt_id)
    return wrapped

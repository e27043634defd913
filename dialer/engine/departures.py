"""Agents who said ahead when they leave: pacing knows it, and when the time has come they go, after the call of that moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import structlog

from dialer.db import departures as departures_db
from dialer.db.departures import Departure
from dialer.domain.commands import AgentBreak, AgentLogout, Command, Done
from dialer.domain.errors import WaihuError
from dialer.engine.clock import Clock
from dialer.engine.floor import Agent, Floor
from dialer.engine.publishing import Publishing

_log = structlog.get_logger(__name__)

_JUST_NOW: Final = timedelta(minutes=1)


class Departures:
    """`refresh` reads them now and then; `go` lets those leave whose time has come."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        floor: Floor,
        publishing: Publishing,
        execute: Callable[[Command], Awaitable[Done]],
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._floor = floor
        self._publishing = publishing
        self._execute = execute
        self._clock = clock
        self._done: set[Departure] = set()  # and not yet written

    async def refresh(self) -> None:
        """Read what is to come for the agents on the floor. Errors: those of a lost PostgreSQL."""
        if not self._floor.agents and not self._done:
            return
        async with self._pool.acquire(timeout=5) as conn:
            if written := tuple(self._done):
                await departures_db.done(conn, written)
                self._done.difference_update(written)
            found = await departures_db.of_agents(conn, list(self._floor.agents))
        now = self._clock.now()
        for agent in list(self._floor.agents.values()):
            known = agent.departures
            rows = [one for one in found.get(agent.agent_id, ()) if one not in self._done]
            lapsed = [one for one in rows if one not in known and _is_history(one, agent, now)]
            self._done.update(lapsed)
            agent.departures = tuple(one for one in rows if one not in lapsed)
            if agent.departures != known:
                self._publishing.agent(agent)

    async def go(self) -> None:
        """Whoever is due leaves; from memory, so that no lost PostgreSQL keeps anybody at work."""
        now = self._clock.now()
        for agent in list(self._floor.agents.values()):
            while agent.departures and agent.departures[0].at <= now:
                departure, *rest = agent.departures
                agent.departures = tuple(rest)
                self._done.add(departure)
                await self._leave(agent, departure)

    async def _leave(self, agent: Agent, departure: Departure) -> None:
        if departure.wanted == "break" and agent.wanted == "logged_out":
            return
        command = (
            AgentBreak(agent_id=agent.agent_id, reason=departure.reason)
            if departure.wanted == "break"
            else AgentLogout(agent_id=agent.agent_id)
        )
        try:
            await self._execute(command)
        except WaihuError as error:
            _log.info("An agent could not leave as planned", agent_id=str(agent.agent_id), error_id=error.error_id)


def _is_history(departure: Departure, agent: Agent, now: datetime) -> bool:
    """A departure that we see only when its time is over: has it come about without us, or was it meant for a shift before?

    An agent who has moved on since was let go by the engine of that time, or came back.
    """
    if departure.at > now:
        return False
    return agent.logged_in_at > departure.at or (agent.since > departure.at and now - departure.at > _JUST_NOW)

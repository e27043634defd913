"""Our own looks into the database, past Waihu; and the wait for a step of some call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import asyncpg

from lab.chaos import invariants
from lab.chaos.invariants import Rows
from lab.chaos.plan import Moment
from lab.chaos.switchboard import Switchboard
from lab.errors import NotReady
from lab.floor import Floor

T = TypeVar("T")

MOMENT_S = 1.5
_POLL_S = 0.005
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
# A hold is rare; the others come many times a second.
_IN_ROWS: Mapping[Moment, tuple[str, float]] = {
    Moment.COMMITTED: ("select exists (select from attempts where state = 'committed')", MOMENT_S),
    Moment.ORIGINATING: ("select exists (select from attempts where state = 'originating')", MOMENT_S),
    Moment.HELD: ("select exists (select from attempts where state = 'held')", MOMENT_S * 3),
    Moment.WRAP_UP: ("select exists (select from agent_live where state = 'wrap_up')", MOMENT_S),
}


class Looks:
    """Each look has a connection of its own: any of them may be cut."""

    def __init__(self, floor: Floor, switchboard: Switchboard) -> None:
        self._floor = floor
        self._switchboard = switchboard

    async def moment(self, moment: Moment) -> bool:
        """Until some call is there; False when none comes in time."""
        if moment is Moment.RANDOM:
            return True
        if moment not in _IN_ROWS:
            return await self._switchboard.wait_for(moment, MOMENT_S)
        statement, timeout_s = _IN_ROWS[moment]
        deadline = time.monotonic() + timeout_s
        async with self.database() as connection:
            while time.monotonic() < deadline:
                if await connection.fetchval(statement):
                    return True
                await asyncio.sleep(_POLL_S)
        return False

    async def rows(self) -> Rows | None:
        """What the rows say at one moment; None while PostgreSQL cannot be asked."""
        try:
            async with (
                self.database() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                open_rows = await connection.fetch(invariants.ROWS_OPEN)
                return Rows(
                    live=frozenset(row["attempt_id"] for row in await connection.fetch(invariants.ROWS_LIVE)),
                    open=frozenset(row["id"] for row in open_rows),
                    old_open=frozenset(row["id"] for row in open_rows if row["old"]),
                    in_flight_without_attempt=frozenset(
                        row["id"] for row in await connection.fetch(invariants.ROWS_LEADS)
                    ),
                    agents={
                        row["agent_id"]: (row["state"], row["attempt_id"])
                        for row in await connection.fetch(invariants.ROWS_AGENTS)
                    },
                    doubled_numbers=await connection.fetchval(invariants.ROWS_DOUBLED),
                    miscounted=await connection.fetchval(invariants.ROWS_MISCOUNTED),
                )
        except _AWAY:
            return None

    async def when_back(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """An answer, as soon as PostgreSQL gives one. Raises NotReady after some seconds."""
        for _ in range(40):
            with contextlib.suppress(*_AWAY):
                async with self.database() as connection:
                    return await ask(connection)
            await asyncio.sleep(0.25)
        raise NotReady("PostgreSQL did not answer for 10 s after it was back")

    async def none_of(self, statement: str) -> bool:
        """Whether the statement counts nothing."""
        async with self.database() as connection:
            return not await connection.fetchval(statement)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        """A connection."""
        connection = await self._floor.connect()
        try:
            yield connection
        finally:
            with contextlib.suppress(*_AWAY):
                await connection.close(timeout=2)

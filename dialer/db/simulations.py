"""Simulations as they stand: asked for, under way, done. The web process that runs one says every second that it is alive."""

# ruff: noqa: S608  # what is put together here are constants of this file; values are always arguments

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from dialer.db.sql import Connection
from dialer.domain.errors import NotFound

KEPT: Final = 50
"""Of a project, the newest."""


class SimulationState(StrEnum):
    """The same words as in `simulations.state`."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One of them. `done` of `total` days are played."""

    id: UUID
    project_id: UUID
    state: SimulationState
    wanted: dict[str, Any]
    done: int
    total: int
    result: dict[str, Any] | None
    error_id: str | None
    user_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


_COLUMNS = "id, project_id, state, wanted, done, total, result, error_id, user_id, created_at, ended_at"
_BEGIN = f"""
with old as (
    delete from simulations where id in (
        select id from simulations where project_id = $1 and state <> 'running' order by created_at desc, id desc offset $6
    )
)
insert into simulations (project_id, wanted, total, user_id, created_at) values ($1, $2, $3, $4, $5) returning {_COLUMNS}
"""


async def begin(
    conn: Connection, project_id: UUID, *, wanted: dict[str, Any], total: int, user_id: UUID | None, now: datetime
) -> Simulation:
    """A simulation that runs from now on; of the project's former ones the oldest make room."""
    return _simulation(await conn.fetchrow(_BEGIN, project_id, wanted, total, user_id, now, KEPT - 1))


_ADVANCE = (
    "update simulations set done = $2, seen_at = clock_timestamp() where id = $1 and state = 'running' returning true"
)


async def advance(conn: Connection, simulation_id: UUID, done: int) -> bool:
    """It is alive, and so far. False: it is not wanted any more."""
    return bool(await conn.fetchval(_ADVANCE, simulation_id, done))


_END = """
update simulations set state = $2, done = case when $2 = 'done' then total else done end, result = $3, error_id = $4, ended_at = clock_timestamp()
where id = $1 and state = 'running'
"""


async def finish(conn: Connection, simulation_id: UUID, result: dict[str, Any]) -> None:
    """It came to this."""
    await conn.execute(_END, simulation_id, SimulationState.DONE.value, result, None)


async def fail(conn: Connection, simulation_id: UUID, error_id: str) -> None:
    """It came to nothing."""
    await conn.execute(_END, simulation_id, SimulationState.FAILED.value, None, error_id)


async def cancel(conn: Connection, simulation_id: UUID) -> None:
    """It is not wanted any more; whoever runs it sees that within a second. What has ended stays as it is."""
    await conn.execute(_END, simulation_id, SimulationState.CANCELED.value, None, None)


_LOST = """
update simulations set state = 'failed', error_id = 'simulation_interrupted', ended_at = clock_timestamp()
where state = 'running' and seen_at < clock_timestamp() - interval '30 seconds'
"""
_GET = f"select {_COLUMNS} from simulations where id = $1"


async def get(conn: Connection, simulation_id: UUID) -> Simulation:
    """As it stands; one whose process was killed has failed. Errors: NotFound `simulation_unknown`."""
    await conn.execute(_LOST)
    row = await conn.fetchrow(_GET, simulation_id)
    if row is None:
        raise NotFound("simulation_unknown", "There is no such simulation (any more): each project keeps its newest.")
    return _simulation(row)


_OF_PROJECT = f"""
select {_COLUMNS} from simulations
where project_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
order by created_at desc, id desc limit $4
"""


async def of_project(
    conn: Connection, project_id: UUID, *, after: tuple[datetime, UUID] | None = None, limit: int
) -> list[Simulation]:
    """A project's, newest first, from those before `after` on."""
    await conn.execute(_LOST)
    return [_simulation(row) for row in await conn.fetch(_OF_PROJECT, project_id, *(after or (None, None)), limit)]


def _simulation(row: Any) -> Simulation:
    return Simulation(**{**row, "state": SimulationState(row["state"])})

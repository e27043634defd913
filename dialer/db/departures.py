"""When agents are going to leave: breaks, lunch, the end of a shift, as they or their leaders said ahead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from campaigns.sql import OneConnection
from dialer.db.sql import Connection
from dialer.domain.errors import BadRequest, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """At `at`, after the call of that moment, the agent goes on a break or logs out."""

    agent_id: UUID
    at: datetime
    wanted: Literal["break", "logged_out"]
    reason: str = ""


_OF = "select agent_id, at, wanted, reason from agent_departures where agent_id = any ($1) order by agent_id, at"


async def of_agents(conn: Connection, agent_ids: Collection[UUID]) -> dict[UUID, tuple[Departure, ...]]:
    """What is still to come (or has not been done yet), the next first; agents without any are not in it."""
    found: dict[UUID, tuple[Departure, ...]] = {}
    for row in await conn.fetch(_OF, list(agent_ids)):
        found[row["agent_id"]] = (*found.get(row["agent_id"], ()), Departure(**row))
    return found


_FORGET = "delete from agent_departures where agent_id = $1"
_PLAN = """
insert into agent_departures (agent_id, at, wanted, reason, user_id)
select $1, i.at, i.wanted, i.reason, $5 from unnest($2::timestamptz[], $3::text[], $4::text[]) i (at, wanted, reason)
"""


async def plan(conn: OneConnection, agent_id: UUID, wanted: Sequence[Departure], *, user_id: UUID | None) -> None:
    """These, and no others, are to come. Errors: NotFound `agent_unknown`; BadRequest `departure_twice`."""
    async with conn.transaction():
        await conn.execute(_FORGET, agent_id)
        columns = [one.at for one in wanted], [one.wanted for one in wanted], [one.reason for one in wanted]
        try:
            await conn.execute(_PLAN, agent_id, *columns, user_id)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("agent_unknown", "There is no such agent.") from error
        except asyncpg.UniqueViolationError as error:
            raise BadRequest(
                "departure_twice", "Two departures are at the same time: leave one of them out."
            ) from error


_DONE = """
delete from agent_departures d using unnest($1::uuid[], $2::timestamptz[]) i (agent_id, at)
where d.agent_id = i.agent_id and d.at = i.at
"""


async def done(conn: Connection, departures: Collection[Departure]) -> None:
    """They have come about, or their time has passed without the agent."""
    await conn.execute(_DONE, [one.agent_id for one in departures], [one.at for one in departures])

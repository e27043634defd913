"""How long things took in a project: what the simulator plays again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dialer.db.sql import Connection

_MOST = 20_000
"""Of each kind, the newest: as good a sample as more of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTimes:
    """Calls that were dialled for agents, and what agents did with them. Seconds."""

    placed: int
    answered: int
    rang_until_answer_s: tuple[float, ...]
    rang_for_nothing_s: tuple[float, ...]
    talked_s: tuple[float, ...]
    wrapped_up_s: tuple[float, ...]

    @property
    def enough(self) -> bool:
        """There is something of each kind."""
        return all((self.rang_until_answer_s, self.rang_for_nothing_s, self.talked_s, self.wrapped_up_s))


_RANG = """
select extract(epoch from coalesce(answered_at, ended_at) - created_at)::float as seconds, answered_at is not null as answered
from attempts
where project_id = $1 and id >= uuid7_floor($2) and id < uuid7_floor($3) and state = 'ended' and outcome not in ('not_sent', 'canceled')
  and mode in ('progressive', 'ratio', 'predictive', 'trial')
order by id desc limit $4
"""
_HANDLED = """
select state, extract(epoch from ended_at - began_at)::float as seconds
from agent_times
where project_id = $1 and began_at >= $2 and began_at < $3 and ended_at is not null and state in ('talking', 'wrap_up')
order by began_at desc limit $4
"""


async def of_project(conn: Connection, project_id: UUID, since: datetime, until: datetime) -> MeasuredTimes:
    """What began between the two moments and is over."""
    rang = await conn.fetch(_RANG, project_id, since, until, _MOST)
    handled = await conn.fetch(_HANDLED, project_id, since, until, _MOST)
    answered = tuple(row["seconds"] for row in rang if row["answered"])
    return MeasuredTimes(
        placed=len(rang),
        answered=len(answered),
        rang_until_answer_s=answered,
        rang_for_nothing_s=tuple(row["seconds"] for row in rang if not row["answered"]),
        talked_s=tuple(row["seconds"] for row in handled if row["state"] == "talking"),
        wrapped_up_s=tuple(row["seconds"] for row in handled if row["state"] == "wrap_up"),
    )

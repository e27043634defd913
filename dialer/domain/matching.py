"""Who takes an answered call, and which waiting customer an agent takes.

A customer gets, of the agents who may, one for whom this project comes first, among those one whom the calls under way of *other* projects
need least, and among those who has waited longest; an agent gets, of the waiting customers who fit, one of the highest priority, and among those who has waited longest. A
promise is a move of the agent's state made by the caller in the same breath (no await between), so nobody is promised twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID


class Idle(Protocol):
    """An agent who waits for a call since `waits_since`: the engine's, or a test's."""

    agent_id: UUID
    waits_since: datetime
    project_ids: frozenset[UUID]
    priorities: Mapping[UUID, int]
    skills: frozenset[str]


Someone = TypeVar("Someone", bound=Idle)
Customer = TypeVar("Customer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a call asks for. `only` names the one agent who may take it (a callback promised by that agent)."""

    project_id: UUID
    skills: frozenset[str] = frozenset()
    only: UUID | None = None


def fits(agent: Idle, need: Need) -> bool:
    """May this agent take such a call?"""
    return (
        need.project_id in agent.project_ids
        and need.skills <= agent.skills
        and (need.only is None or need.only == agent.agent_id)
    )


def best(agents: Iterable[Someone], need: Need, needing: AbstractSet[UUID] = frozenset()) -> Someone | None:
    """The agent for one call, or None. `needing`: projects whose calls under way will need an agent.

    Ties go to the lower id, so that the choice can be repeated.
    """
    others = needing - {need.project_id}
    fitting = [agent for agent in agents if fits(agent, need)]
    return min(
        fitting,
        key=lambda agent: (
            -agent.priorities.get(need.project_id, 0),
            len(others & agent.project_ids),
            agent.waits_since,
            agent.agent_id,
        ),
        default=None,
    )


def in_turn(waiting: Iterable[Customer], priority_of: Callable[[Customer], tuple[int, ...]]) -> list[Customer]:
    """Customers in the order in which they get an agent, the highest priority first; given in the order of their answers."""
    return sorted(waiting, key=priority_of, reverse=True)

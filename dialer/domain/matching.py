"""Who takes an answered call: the agent who has waited longest, among those who may.

A promise is a move of the agent's state made by the caller in the same breath (no await between), so the same agent cannot be
chosen for a second call; `assign` keeps the same promise for several calls at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAgent:
    """An agent who waits for a call."""

    agent_id: UUID
    ready_since: datetime
    project_ids: frozenset[UUID]
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a call asks for. `only` names the one agent who may take it (a callback promised by that agent)."""

    project_id: UUID
    skills: frozenset[str] = frozenset()
    only: UUID | None = None


def fits(agent: ReadyAgent, need: Need) -> bool:
    """May this agent take such a call?"""
    return (
        need.project_id in agent.project_ids
        and need.skills <= agent.skills
        and (need.only is None or need.only == agent.agent_id)
    )


def longest_idle(agents: Iterable[ReadyAgent], need: Need) -> ReadyAgent | None:
    """The agent for one call, or None. Ties go to the lower id, so that the choice can be repeated."""
    fitting = [agent for agent in agents if fits(agent, need)]
    return min(fitting, key=lambda agent: (agent.ready_since, agent.agent_id), default=None)


def assign(agents: Sequence[ReadyAgent], waiting: Sequence[tuple[T, Need]]) -> dict[T, ReadyAgent]:
    """Agents for several waiting calls, in the order they wait; nobody is promised twice."""
    free = {agent.agent_id: agent for agent in agents}
    promised: dict[T, ReadyAgent] = {}
    for call, need in waiting:
        if agent := longest_idle(free.values(), need):
            promised[call] = free.pop(agent.agent_id)
    return promised

"""Agents who serve several projects: how many of the ready ones are left for one project.

Calls under way in other projects have a claim on agents who serve both. Each such call is set against one ready agent, first one
who does not serve our project; what is left is ours. So two projects never count on the same agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID


def ready_for_project(ready: Sequence[frozenset[UUID]], project_id: UUID, claims: Mapping[UUID, float]) -> float:
    """How many ready agents `project_id` can count on.

    `ready`: for each ready agent the projects they serve; `claims`: for each other project its calls under way, divided by its
    calls for an agent. Agents with fewer projects are taken first, because they are of less use elsewhere.
    """
    left = [1.0 if project_id in projects else 0.0 for projects in ready]
    free = [1.0] * len(ready)
    order = sorted(range(len(ready)), key=lambda n: (project_id in ready[n], len(ready[n])))
    for other, claimed in claims.items():
        if other == project_id:
            continue
        rest = claimed
        for n in order:
            if rest <= 0:
                break
            if other in ready[n] and free[n] > 0:
                taken = min(free[n], rest)
                free[n] -= taken
                rest -= taken
    return sum(min(mine, unclaimed) for mine, unclaimed in zip(left, free, strict=True))

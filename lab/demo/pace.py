"""How well a run was paced: utilisation and abandonment as they were, and beside them what the simulator says of such a floor.

The simulator is given what was measured (how long calls rang, conversations and wrap-ups took, how many answered), the same policy and the
same length of time, cold start included; so it predicts the pacing, not the population. It is played with several seeds: a run of a few
minutes has few answers, and the interval says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from dialer.db import measured_times
from dialer.db.measured_times import MeasuredTimes
from dialer.domain.pacing import Mode, policy_for
from dialer.simulation.replay import replayed
from dialer.simulation.what_if import WhatIf, a_day, forecast_of

SEEDS = 12

# From the first call to the last lead's first one: what comes after is the list running dry, not the pacing.
_WINDOW = """
with firsts as (select distinct on (lead_id) created_at from attempts order by lead_id, id)
select min(created_at) as since, max(created_at) as until from firsts
"""
_STATES = """
select state, sum(extract(epoch from least(coalesce(ended_at, $2), $2) - greatest(began_at, $1)))::float as seconds
from agent_times where began_at < $2 and coalesce(ended_at, $2) > $1 group by state
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What was measured while there were leads. `agents`: the mean number of those who were there to be given calls."""

    lasted_s: float
    agents: float
    utilisation: float
    times: MeasuredTimes


async def measured(connection: asyncpg.Connection[asyncpg.Record], project_id: UUID) -> Paced | None:
    """Of a run that is over; None when nothing was dialled, or nobody was there."""
    window = await connection.fetchrow(_WINDOW)
    if window is None or window["since"] is None or window["since"] == window["until"]:
        return None
    since, until = window["since"], window["until"]
    lasted_s = (until - since).total_seconds()
    seconds = {row["state"]: row["seconds"] for row in await connection.fetch(_STATES, since, until)}
    there_s = sum(spent for state, spent in seconds.items() if state not in {"break", "seating"})
    if not there_s:
        return None
    return Paced(
        lasted_s=lasted_s,
        agents=there_s / lasted_s,
        utilisation=(seconds.get("talking", 0.0) + seconds.get("wrap_up", 0.0)) / there_s,
        times=await measured_times.of_project(connection, project_id, since, until),
    )


def forecast(paced: Paced, *, mode: Mode, ratio: float, cap: float, agent_wait_s: float) -> WhatIf | None:
    """What such a floor comes to; None when too little was measured."""
    times = paced.times
    if not times.enough:
        return None
    world = replayed(
        agents=max(1, round(paced.agents)),
        hours=paced.lasted_s / 3600,
        rang_until_answer_s=times.rang_until_answer_s,
        rang_for_nothing_s=times.rang_for_nothing_s,
        talked_s=times.talked_s,
        wrapped_up_s=times.wrapped_up_s,
        cap=cap,
        agent_wait_s=agent_wait_s,
    )
    return forecast_of([a_day(world, policy_for(mode), seed, mode=mode, ratio=ratio) for seed in range(SEEDS)], world)

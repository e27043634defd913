"""How well a run was paced: utilisation and abandonment as they were, and beside them what the simulator says of such a floor.

The simulator is given what was measured (how long calls rang, conversations and wrap-ups took, how many answered), the same policy and the
same length of time, cold start included; so it predicts the pacing, not the population. It is played with several seeds: a run of a few
minutes has few answers, and the interval says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev
from typing import Any

import asyncpg

from dialer.domain.pacing import Mode, policy_for
from dialer.simulation.durations import Measured
from dialer.simulation.floor import Floor
from dialer.simulation.world import World, always

SEEDS = 12

# From the first call to the last lead's first one: what comes after is the list running dry, not the pacing.
_WINDOW = """
with firsts as (select distinct on (lead_id) created_at from attempts order by lead_id, id),
w as (select min(created_at) as since, max(created_at) as until from firsts)
"""
_STATES = f"""
{_WINDOW}
select state, sum(extract(epoch from least(coalesce(ended_at, w.until), w.until) - greatest(began_at, w.since)))::float as seconds
from agent_times, w where began_at < w.until and coalesce(ended_at, w.until) > w.since group by state
"""  # noqa: S608 -- constants
_CALLS = f"""
{_WINDOW}
select extract(epoch from w.until - w.since)::float as lasted_s, count(*) as placed, count(answered_at) as answered,
       count(*) filter (where abandoned) as abandoned
from attempts, w where created_at <= w.until group by 1
"""  # noqa: S608 -- constants
_RANG = """
select extract(epoch from coalesce(answered_at, ended_at) - created_at)::float as seconds, answered_at is not null as answered
from attempts where outcome <> 'not_sent'
"""
_HANDLED = """
select state, extract(epoch from ended_at - began_at)::float as seconds from agent_times
where ended_at is not null and state in ('talking', 'wrap_up')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """What was measured. Seconds; `agents` is the mean number of those who were there to be given calls."""

    lasted_s: float
    agents: float
    utilisation: float | None
    placed: int
    answered: int
    abandoned: int
    rang_until_answer_s: tuple[float, ...]
    rang_for_nothing_s: tuple[float, ...]
    talked_s: tuple[float, ...]
    wrapped_up_s: tuple[float, ...]


async def measured(connection: asyncpg.Connection[asyncpg.Record]) -> Paced:
    """Of a run that is over."""
    seconds = {row["state"]: row["seconds"] for row in await connection.fetch(_STATES)}
    calls = await connection.fetchrow(_CALLS)
    rang = await connection.fetch(_RANG)
    handled = await connection.fetch(_HANDLED)
    at_work = seconds.get("talking", 0.0) + seconds.get("wrap_up", 0.0)
    there = sum(value for state, value in seconds.items() if state not in {"break", "seating"})
    lasted_s = calls["lasted_s"] if calls else 0.0
    return Paced(
        lasted_s=lasted_s,
        agents=there / lasted_s if lasted_s else 0.0,
        utilisation=at_work / there if there else None,
        placed=calls["placed"] if calls else 0,
        answered=calls["answered"] if calls else 0,
        abandoned=calls["abandoned"] if calls else 0,
        rang_until_answer_s=tuple(row["seconds"] for row in rang if row["answered"]),
        rang_for_nothing_s=tuple(row["seconds"] for row in rang if not row["answered"]),
        talked_s=tuple(row["seconds"] for row in handled if row["state"] == "talking"),
        wrapped_up_s=tuple(row["seconds"] for row in handled if row["state"] == "wrap_up"),
    )


def forecast(paced: Paced, *, mode: str, ratio: float, cap: float, agent_wait_s: float) -> dict[str, Any] | None:
    """Utilisation and abandonment of such a floor: mean and standard deviation of one run. None when too little was measured."""
    if not (paced.rang_until_answer_s and paced.rang_for_nothing_s and paced.talked_s and paced.wrapped_up_s):
        return None
    world = World(
        agents=max(1, round(paced.agents)),
        answer=always(paced.answered / paced.placed),
        hours=paced.lasted_s / 3600,
        ring=Measured(paced.rang_until_answer_s),
        quick_failure=1 - paced.answered / paced.placed,
        quick_failure_s=Measured(paced.rang_for_nothing_s),
        talk=Measured(paced.talked_s),
        wrap_up=Measured(paced.wrapped_up_s),
        cap=cap,
        agent_wait_s=agent_wait_s,
    )
    days = [
        Floor(world, policy_for(Mode(mode)), Random(f"forecast/{seed}"), mode=Mode(mode), ratio=ratio).run()
        for seed in range(SEEDS)
    ]
    return {
        "utilisation": _spread([day.utilisation for day in days]),
        "abandonment": _spread([day.abandoned_share for day in days]),
        "seeds": SEEDS,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(fmean(values), 4), "deviation": round(stdev(values), 4)}

"""Plays one simulation in a process of its own: days on a simulated floor take the processor, and nothing of that may hold up an answered call.

Started by `apart.py` with a `Job` on standard input. Says on standard output, a JSON object in a line each: `progress` after each day, then `result`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

import orjson

from dialer.domain.pacing import policy_for
from dialer.simulation.day import Day
from dialer.simulation.durations import LogNormal
from dialer.simulation.replay import replayed
from dialer.simulation.what_if import a_day, forecast_of, mean_curve, sentence
from dialer.simulation.world import World, always
from dialer.web.simulations.job import Assumed, Job, Measured

BEHIND = 10  # of `nice`: whoever talks to a customer goes first
SPREAD = 0.5  # coefficient of variation of assumed times


def main() -> int:
    """Read the job, do it."""
    os.nice(BEHIND)
    job = Job.model_validate_json(sys.stdin.buffer.read())
    world = world_of(job)
    rows: list[dict[str, Any]] = []
    for mode in job.modes:
        days: list[Day] = []
        for seed in range(job.days):
            days.append(a_day(world, policy_for(mode), seed, mode=mode, ratio=job.ratio))
            _tell("progress", done=len(rows) * job.days + len(days))
        forecast = forecast_of(days, world, leads=job.leads)
        rows.append({
            "mode": mode.value,
            "sentence": sentence(forecast, job.agents),
            "forecast": asdict(forecast),
            "days": [(100 * day.abandoned_share, 100 * day.utilisation) for day in days],
            "curve": mean_curve(days),
        })  # fmt: skip
    _tell("result", result={"title": f"{job.name}, {job.agents} agents", "cap": job.cap, "modes": rows})
    return 0


def world_of(job: Job) -> World:
    """The floor. ValueError when measured times are missing."""
    match job.times:
        case Measured() as times:
            return replayed(
                agents=job.agents, hours=job.hours, cap=job.cap, agent_wait_s=job.agent_wait_s, **times.model_dump()
            )
        case Assumed(answer=answer, talk_s=talk_s, wrap_up_s=wrap_up_s):
            usual = World(agents=job.agents, answer=always(answer))
            return World(
                agents=job.agents,
                answer=always(answer),
                hours=job.hours,
                cap=job.cap,
                agent_wait_s=job.agent_wait_s,
                quick_failure=min(usual.quick_failure, 1 - answer),
                talk=LogNormal(talk_s, SPREAD),
                wrap_up=LogNormal(wrap_up_s, SPREAD),
            )


def _tell(what: str, **said: object) -> None:
    # Whoever started us may be gone: then nobody wants the rest (BrokenPipeError ends us).
    sys.stdout.buffer.write(orjson.dumps({"what": what, **said}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())

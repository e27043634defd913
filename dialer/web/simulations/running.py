"""Keeps the row of a simulation true while it is played: alive and so far, then its result, or why there is none."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog

from dialer.db import simulations
from dialer.domain.errors import Unavailable
from dialer.web.call import Call
from dialer.web.errors import DATABASE_AWAY
from dialer.web.simulations.apart import play_apart
from dialer.web.simulations.job import Job

log = structlog.get_logger(__name__)
BEAT_S = 1.0


class NotWanted(Exception):
    """Somebody has cancelled it."""


async def run(call: Call, simulation_id: UUID, job: Job) -> None:
    """To its end, whoever still waits for it, or until it is cancelled. Gives the place among the running ones back."""
    days = [0]
    result: dict[str, Any] | None = None
    try:
        async with asyncio.TaskGroup() as group:
            beat = group.create_task(_beat(call, simulation_id, days), name=f"simulation-beat-{simulation_id}")
            result = await play_apart(job, days.append)
            beat.cancel()
    except* (NotWanted, Unavailable) as broken_off:
        log.info("A simulation was broken off", simulation_id=str(simulation_id), why=repr(broken_off.exceptions[0]))
    finally:
        # A database that is away cannot be told: who reads the row later sees that nobody runs it any more.
        with suppress(*DATABASE_AWAY):
            async with call.connection() as conn:
                if result is not None:
                    await simulations.finish(conn, simulation_id, result)
                else:
                    await simulations.fail(conn, simulation_id, "simulation_interrupted")
        call.parts.simulations.release()


async def _beat(call: Call, simulation_id: UUID, days: list[int]) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        with suppress(*DATABASE_AWAY):
            async with call.connection() as conn:
                if not await simulations.advance(conn, simulation_id, days[-1]):
                    raise NotWanted

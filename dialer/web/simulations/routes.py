"""Simulations: a project's day is played with so many agents before anybody presses start. Each runs in a process of its own, at low priority."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from campaigns.abandonment import agent_wait_ms
from campaigns.projects import Project
from dialer.db import measured_times, simulations
from dialer.db.abandonment import contracts_of
from dialer.db.sql import Connection
from dialer.domain.errors import BadRequest, Conflict, Unavailable
from dialer.domain.pacing import Mode
from dialer.simulation.pictures import against_abandonment, over_the_day
from dialer.web.api import operation
from dialer.web.call import Call
from dialer.web.fields import Page, PageQuery, after_cursor, moment, page_of
from dialer.web.projects.routes import there
from dialer.web.roles import PLANNERS, REPORT_READERS
from dialer.web.simulations.job import Assumed, Job, Measured
from dialer.web.simulations.png import png_of
from dialer.web.simulations.running import run
from dialer.web.simulations.types import (
    Forecast,
    ModeResult,
    NewSimulation,
    PictureFormat,
    PictureQuery,
    PlayedDay,
    Quarter,
    Simulation,
)

MOST_AGENT_HOURS: Final = 20_000
"""Of all days and modes together: some minutes of one core."""
SVG, PNG = "image/svg+xml", "image/png"


@operation("GET", "/projects/{project_id}/simulations", roles=REPORT_READERS, summary="List a project's simulations")
async def list_simulations(call: Call, project_id: UUID, query: PageQuery) -> Page[Simulation]:
    """Newest first."""
    after = after_cursor(query.cursor, moment, UUID)
    async with call.connection() as conn:
        await there(conn, project_id)
        rows = await simulations.of_project(conn, project_id, after=after, limit=query.limit + 1)  # type: ignore[arg-type]
    return page_of(rows, query.limit, _shown, lambda row: [row.created_at, row.id])


@operation("POST", "/projects/{project_id}/simulations", roles=PLANNERS, summary="Simulate a project", status=202)
async def simulate(call: Call, project_id: UUID, body: NewSimulation) -> Simulation:
    """Answered when it has begun; read it again for its progress and result."""
    total = body.days * len(body.modes)
    agent_hours = body.agents * body.hours * total
    if agent_hours > MOST_AGENT_HOURS:
        raise BadRequest(
            "simulation_too_large",
            f"This is {agent_hours:.0f} hours of agents to be played, {MOST_AGENT_HOURS} is the most: take fewer agents, hours, days or modes.",
            agent_hours=round(agent_hours),
            most=MOST_AGENT_HOURS,
        )
    if call.parts.simulations.locked():
        raise Unavailable(
            "simulations_busy", "Several simulations run already: start this one when one of them is done."
        )
    await call.parts.simulations.acquire()
    try:
        async with call.transaction() as conn:
            project = await there(conn, project_id)
            job = await _job(call, conn, project, body)
            begun = await simulations.begin(
                conn,
                project_id,
                wanted=body.model_dump(mode="json"),
                total=total,
                user_id=call.identity.user_id,
                now=call.now,
            )
            await call.audit(
                conn, "simulation_begun", "simulation", begun.id, project_id=project_id, agents=body.agents
            )
    except BaseException:
        call.parts.simulations.release()
        raise
    call.parts.tasks.start(run(call, begun.id, job), f"simulation-{begun.id}")
    return _shown(begun)


async def _job(call: Call, conn: Connection, project: Project, body: NewSimulation) -> Job:
    times: Assumed | Measured
    if body.assumed is not None:
        times = Assumed(**body.assumed.model_dump())
    else:
        since = call.now - timedelta(days=body.history_days)
        found = await measured_times.of_project(conn, project.id, since, call.now)
        if not found.enough:
            raise Conflict(
                "too_little_history",
                f"The project has no answered and handled calls in the last {body.history_days} days: take more history_days, or assume times.",
            )
        times = Measured(
            rang_until_answer_s=found.rang_until_answer_s,
            rang_for_nothing_s=found.rang_for_nothing_s,
            talked_s=found.talked_s,
            wrapped_up_s=found.wrapped_up_s,
        )
    return Job(
        name=project.name,
        times=times,
        agents=body.agents,
        hours=body.hours,
        days=body.days,
        modes=tuple(Mode(mode.value) for mode in body.modes),
        ratio=float(project.ratio) if body.ratio is None else body.ratio,
        cap=float(min(one.cap for one in contracts_of(project, call.now))) if body.cap is None else body.cap,
        agent_wait_s=agent_wait_ms(project, call.now) / 1000,
        leads=body.leads,
    )


@operation("GET", "/simulations/{simulation_id}", roles=REPORT_READERS, summary="A simulation")
async def get_simulation(call: Call, simulation_id: UUID) -> Simulation:
    """As it stands: while it runs `done` says how far it is."""
    async with call.connection() as conn:
        return _shown(await simulations.get(conn, simulation_id))


@operation(
    "GET",
    "/simulations/{simulation_id}/picture",
    roles=REPORT_READERS,
    summary="A simulation as a picture",
    media=(SVG, PNG),
)
async def get_picture(call: Call, simulation_id: UUID, query: PictureQuery) -> web.StreamResponse:
    """Utilisation against abandonment: each mode a colour, each day a point."""
    result = await _result(call, simulation_id)
    points = {one["mode"]: [tuple(day) for day in one["days"]] for one in result["modes"]}
    return await _drawn(against_abandonment(result["title"], points, result["cap"]), query)


@operation(
    "GET",
    "/simulations/{simulation_id}/curve",
    roles=REPORT_READERS,
    summary="A simulated mean day as a picture",
    media=(SVG, PNG),
)
async def get_curve(call: Call, simulation_id: UUID, query: PictureQuery) -> web.StreamResponse:
    """Utilisation and abandonment by the quarter of an hour: each mode a colour."""
    result = await _result(call, simulation_id)
    curves = {one["mode"]: [tuple(quarter) for quarter in one["curve"]] for one in result["modes"]}
    return await _drawn(over_the_day(result["title"], curves, result["cap"]), query)


async def _result(call: Call, simulation_id: UUID) -> dict[str, Any]:
    async with call.connection() as conn:
        found = await simulations.get(conn, simulation_id)
    if found.result is None:
        raise Conflict(
            "simulation_not_done", "There is no picture of it (yet): its state says why.", state=found.state.value
        )
    return found.result


async def _drawn(picture: str, query: PictureQuery) -> web.Response:
    if query.format is PictureFormat.PNG:
        return web.Response(body=await asyncio.to_thread(png_of, picture), content_type=PNG)
    # It is a document of its own: nothing in it may run, whatever a project is called.
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(text=picture, content_type=SVG, headers=headers)


@operation("POST", "/simulations/{simulation_id}/cancel", roles=PLANNERS, summary="Break a simulation off")
async def cancel(call: Call, simulation_id: UUID) -> Simulation:
    """One that has ended stays as it is."""
    async with call.transaction() as conn:
        await simulations.get(conn, simulation_id)
        await simulations.cancel(conn, simulation_id)
        await call.audit(conn, "simulation_canceled", "simulation", simulation_id)
        return _shown(await simulations.get(conn, simulation_id))


def _shown(row: simulations.Simulation) -> Simulation:
    names = Simulation.model_fields.keys() - {"state", "wanted", "modes"}
    return Simulation(
        **{name: getattr(row, name) for name in names},
        state=row.state.value,
        wanted=NewSimulation.model_validate(row.wanted),
        modes=None if row.result is None else [_mode(one) for one in row.result["modes"]],
    )


def _mode(kept: dict[str, Any]) -> ModeResult:
    return ModeResult(
        mode=kept["mode"],
        sentence=kept["sentence"],
        forecast=Forecast.model_validate({name: kept["forecast"][name] for name in Forecast.model_fields}),
        days=[PlayedDay(abandoned_percent=lost, utilisation_percent=busy) for lost, busy in kept["days"]],
        curve=[
            Quarter(hour=hour, utilisation_percent=busy, abandoned_percent=lost) for hour, busy, lost in kept["curve"]
        ],
    )

"""simulate: what a project would come to with these agents and this list, before anybody presses start."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from campaigns.abandonment import agent_wait_ms
from campaigns.projects import load_project
from dialer.cli.office import Office, in_office, now
from dialer.cli.output import Output
from dialer.db import measured_times
from dialer.db.abandonment import contracts_of
from dialer.domain.errors import BadRequest, Conflict
from dialer.domain.pacing import Mode, policy_for
from dialer.simulation.day import Day
from dialer.simulation.durations import LogNormal
from dialer.simulation.pictures import against_abandonment, in_a_line, over_the_day
from dialer.simulation.replay import replayed
from dialer.simulation.what_if import WhatIf, a_day, forecast_of, mean_curve, sentence
from dialer.simulation.world import World, always
from dialer.web.simulations.png import png_of

_SPREAD = 0.5  # coefficient of variation of assumed times


class Dialled(StrEnum):
    """The modes in which the pacer dials."""

    PROGRESSIVE = "progressive"
    RATIO = "ratio"
    PREDICTIVE = "predictive"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(simulate)


def simulate(
    context: typer.Context,
    agents: Annotated[
        list[int] | None,
        typer.Option(help="Agents at work; 10 without it. Several times: compare.", min=1, max=2_000),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Play this project's own times and settings again, instead of assumed ones.")
    ] = None,
    history_days: Annotated[int, typer.Option(help="How far back its times are taken from.", min=1, max=366)] = 7,
    mode: Annotated[list[Dialled] | None, typer.Option(help="Compare these modes; without it, all.")] = None,
    answer: Annotated[float, typer.Option(help="Share of calls that are answered.", min=0.01, max=1.0)] = 0.25,
    talk_s: Annotated[float, typer.Option(help="Mean seconds of a conversation.", min=1)] = 90.0,
    wrap_up_s: Annotated[float, typer.Option(help="Mean seconds of wrap-up.", min=0.1)] = 15.0,
    cap: Annotated[float, typer.Option(help="Abandoned of the answered, at most.", min=0.0, max=0.2)] = 0.03,
    ratio: Annotated[float, typer.Option(help="Calls for each free agent, in mode ratio.", min=1.0, max=10.0)] = 2.0,
    leads: Annotated[int | None, typer.Option(help="Numbers on the list: how long do they last?", min=1)] = None,
    hours: Annotated[float, typer.Option(help="Length of the day.", min=0.1, max=24)] = 8.0,
    days: Annotated[int, typer.Option(help="How many days are played, each with another seed.", min=2, max=200)] = 6,
    picture: Annotated[
        Path | None, typer.Option(help="Draw utilisation against abandonment into this .svg or .png file.")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="Draw a mean day, by the quarter of an hour, into this .svg or .png file.")
    ] = None,
) -> None:
    """Utilisation, talk time, abandoned calls and how long the data lasts, mode by mode, with intervals."""
    for file in (picture, curve):
        if file is not None and (file.suffix not in {".svg", ".png"} or not file.parent.is_dir()):
            raise BadRequest(
                "picture_invalid", f"{file} cannot be drawn: name an .svg or .png file in a folder that is there."
            )
    output: Output = context.obj.output
    crews = agents or [10]
    if project is None:
        world = World(
            agents=crews[0], answer=always(answer), hours=hours, cap=cap,
            talk=LogNormal(talk_s, _SPREAD), wrap_up=LogNormal(wrap_up_s, _SPREAD),
        )  # fmt: skip
        if answer + world.quick_failure > 1:
            world = replace(world, quick_failure=1 - answer)
    else:
        world = in_office(lambda office: _of_project(office, project, history_days, agents=crews[0], hours=hours))
    quiet = output.as_json or not output.console.is_terminal
    cases = [
        _played(replace(world, agents=crew), one, ratio, days, leads, alone=len(crews) == 1, quiet=quiet)
        for crew in crews
        for one in mode or list(Dialled)
    ]
    output.rows([_row(case, for_programs=output.as_json) for case in cases], empty="")
    if not output.as_json:
        for case in cases:
            line = mean_curve(case.days)
            output.done(f"\n{case.mode.value}: {sentence(case.forecast, case.agents)}")
            output.done(f"  busy, 0 to 100 %     {in_a_line([busy for _, busy, _ in line], 0, 100)}")
            output.done(f"  abandoned, 0 to 10 % {in_a_line([lost for *_, lost in line], 0, 10)}")
    whose = (f"{project}, " if project else "") + " and ".join(map(str, crews)) + " agents"
    if picture is not None:
        points = {
            case.name: [(100 * day.abandoned_share, 100 * day.utilisation) for day in case.days] for case in cases
        }
        drawn = against_abandonment(f"{whose}: each point a day", points, world.cap)
        _draw(drawn, picture)
    if curve is not None:
        drawn = over_the_day(f"{whose}: a mean day", {case.name: mean_curve(case.days) for case in cases}, world.cap)
        _draw(drawn, curve)


def _draw(picture: str, into: Path) -> None:
    into.write_bytes(png_of(picture) if into.suffix == ".png" else picture.encode())


@dataclass(frozen=True, slots=True)
class _Case:
    """One of the things that are compared."""

    name: str
    mode: Dialled
    agents: int
    days: list[Day]
    forecast: WhatIf


def _played(
    world: World, mode: Dialled, ratio: float, days: int, leads: int | None, *, alone: bool, quiet: bool
) -> _Case:
    """Day by day, with a bar for whoever waits for it."""
    name = mode.value if alone else f"{mode.value}, {world.agents} agents"
    asked = Mode(mode.value)
    played = [
        a_day(world, policy_for(asked), seed, mode=asked, ratio=ratio)
        for seed in track(range(days), name, disable=quiet, transient=True)
    ]
    return _Case(name, mode, world.agents, played, forecast_of(played, world, leads=leads))


async def _of_project(office: Office, name: str, history_days: int, *, agents: int, hours: float) -> World:
    project_id = await office.id_of("project", name)
    until = now()
    async with office.pool.acquire() as conn:
        project = await load_project(conn, project_id)
        times = await measured_times.of_project(conn, project_id, until - timedelta(days=history_days), until)
    if not times.enough:
        raise Conflict(
            "too_little_history",
            f"{name!r} has no answered and handled calls in the last {history_days} days: take --history-days, or assume"
            " times with --answer, --talk-s and --wrap-up-s.",
        )
    return replayed(
        agents=agents,
        hours=hours,
        rang_until_answer_s=times.rang_until_answer_s,
        rang_for_nothing_s=times.rang_for_nothing_s,
        talked_s=times.talked_s,
        wrapped_up_s=times.wrapped_up_s,
        cap=float(min(one.cap for one in contracts_of(project, until))),
        agent_wait_s=agent_wait_ms(project, until) / 1000,
    )


def _row(case: _Case, *, for_programs: bool) -> dict[str, Any]:
    found = case.forecast
    if for_programs:
        figures = {name: _rounded(value) for name, value in asdict(found).items() if value is not None}
        return {"mode": case.mode.value, "agents": case.agents} | figures
    row = {
        "mode": case.mode.value,
        "agents": case.agents,
        "utilisation %": found.utilisation_percent,
        "talk min/h": found.talk_min_per_hour,
        "abandoned %": found.abandoned_percent,
        "answered/h": found.answered_per_hour,
        "placed/h": found.placed_per_hour,
        "data lasts h": found.data_lasts_h,
        "days over the cap": f"{round(found.over_cap * found.days)} of {found.days}",
    }
    return {name: value for name, value in row.items() if value is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value

"""project: what is dialled, when, how, by whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from dialer.cli.office import Office, in_office, now, shown
from dialer.cli.output import Output
from dialer.web.projects import abandonment, routes, settings
from dialer.web.projects import trial as trials
from dialer.web.projects.types import (
    AbandonmentPeriod,
    AtAbandonmentLimit,
    AtPreviewLimit,
    MachineDetection,
    Mode,
    Share,
    State,
    TrialCounts,
)
from dialer.web.reports import routes as reports

app = typer.Typer(no_args_is_help=True, help="What is dialled, when, how, by whom.")
Named = Annotated[str, typer.Argument(help="Name or id of the project.")]
Purpose = Annotated[
    str | None,
    typer.Option(
        help="What it calls for, a code such as insurance_sales: caller numbers for something else are not shown."
    ),
]
_COLUMNS = ("name", "client", "state", "mode", "ratio", "window_start", "window_end", "zone", "id")


@app.command("list")
def list_projects(
    context: typer.Context, state: Annotated[State | None, typer.Option(help="Only these.")] = None
) -> None:
    """All projects."""
    output: Output = context.obj.output
    projects = in_office(lambda office: office.all(routes.list_projects, query={"state": state}))
    output.rows(
        [shown(project, *_COLUMNS) for project in projects], empty="There is no project yet: waihu project create."
    )


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    trunk: Annotated[str | None, typer.Option(help="Name or id of the trunk.")] = None,
    caller_number: Annotated[
        list[str] | None, typer.Option(help="A caller number it may show; may be repeated.")
    ] = None,
    agent: Annotated[list[str] | None, typer.Option(help="工号 of an agent who works on it; may be repeated.")] = None,
    client: Annotated[str | None, typer.Option(help="For whom.")] = None,
    mode: Annotated[Mode | None, typer.Option(help="How calls are placed; default progressive.")] = None,
    ratio: Annotated[str | None, typer.Option(help="Calls for each ready agent, in mode ratio.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its time zone; default Asia/Shanghai.")] = None,
    window: Annotated[str | None, typer.Option(help="When it may dial, local time: 09:00-20:00.")] = None,
    sign_offs: Annotated[
        bool | None, typer.Option(help="It goes through a trial and signatures; default: as the installation is set.")
    ] = None,
    purpose: Purpose = None,
) -> None:
    """A new project, a draft until it is started. It gets the usual dispositions; the rest can be set by the API."""
    output: Output = context.obj.output
    start, _, end = (window or "").partition("-")

    async def work(office: Office) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "name": name,
            "client": client,
            "mode": mode,
            "ratio": ratio,
            "zone": zone,
            "window_start": start or None,
            "window_end": end or None,
            "sign_offs": sign_offs,
            "purpose": purpose,
        }
        wanted["trunk_id"] = await office.id_of("trunk", trunk) if trunk else None
        numbers = [await office.id_of("caller-number", number) for number in caller_number or ()]
        agents = [await office.id_of("agent", number) for number in agent or ()]
        project = await office.do(routes.create_project, body=wanted)
        if numbers:
            await office.do(settings.put_caller_numbers, body={"caller_number_ids": numbers}, project_id=project.id)
        if agents:
            await office.do(settings.put_agents, body={"agent_ids": agents}, project_id=project.id)
        return shown(project)

    output.thing(in_office(work))


@app.command()
def show(context: typer.Context, name: Named) -> None:
    """A project with everything that belongs to it."""
    output: Output = context.obj.output

    async def work(office: Office) -> dict[str, Any]:
        project_id = await office.id_of("project", name)
        project = shown(await office.do(routes.get_project, project_id=project_id))
        agents = await office.do(settings.get_agents, project_id=project_id)
        numbers = await office.do(settings.get_caller_numbers, project_id=project_id)
        dispositions = await office.do(settings.get_dispositions, project_id=project_id)
        rules = await office.do(settings.get_retry_rules, project_id=project_id)
        leads = await office.pool.fetch(
            "select state, count(*) as count from leads where project_id = $1 group by state order by state", project_id
        )
        return project | {
            "agents": len(agents.agent_ids),
            "caller_numbers": len(numbers.caller_number_ids),
            "dispositions": [one.code for one in dispositions.dispositions],
            "retry_rules": {one.outcome: f"{one.max_times} x after {one.retry_after_s} s" for one in rules.rules},
            "leads": {row["state"]: row["count"] for row in leads},
        }

    output.thing(in_office(work))


@app.command()
def change(
    context: typer.Context,
    name: Named,
    mode: Annotated[Mode | None, typer.Option(help="How calls are placed.")] = None,
    ratio: Annotated[str | None, typer.Option(help="Calls for each ready agent, in mode ratio.")] = None,
    window: Annotated[str | None, typer.Option(help="When it may dial, local time: 09:00-20:00.")] = None,
    ring_timeout_s: Annotated[int | None, typer.Option(help="How long it may ring.")] = None,
    cancel_after_s: Annotated[
        int | None,
        typer.Option(help="Give up a call that rang so long when nobody would be free for it; 15 or more, 0: never."),
    ] = None,
    machine_detection: Annotated[
        MachineDetection | None, typer.Option(help="Who listens whether a machine has answered.")
    ] = None,
    weight: Annotated[int | None, typer.Option(help="Its part of agents, channels and rate, 1 to 100.")] = None,
    priority: Annotated[int | None, typer.Option(help="Projects of a higher one come first, 0 to 9.")] = None,
    guaranteed_agents: Annotated[int | None, typer.Option(help="So many it gets before priorities count.")] = None,
    trunk: Annotated[str | None, typer.Option(help="Name or id of the trunk.")] = None,
    preview_limit_s: Annotated[int | None, typer.Option(help="How long an agent may look at a lead.")] = None,
    preview_at_limit: Annotated[AtPreviewLimit | None, typer.Option(help="What happens to the lead then.")] = None,
    preview_skips_per_hour: Annotated[int | None, typer.Option(help="Leads an agent may skip in an hour.")] = None,
    preview_skips_per_lead: Annotated[int | None, typer.Option(help="How often a lead may be skipped.")] = None,
    preview_skip_wait_s: Annotated[int | None, typer.Option(help="How long a skipped lead rests.")] = None,
    preview_same_agent_wait_s: Annotated[
        int | None, typer.Option(help="After how long it may come to the same agent.")
    ] = None,
    trial_size: Annotated[int | None, typer.Option(help="Leads of the sample, in mode trial.")] = None,
    trial_counts: Annotated[TrialCounts | None, typer.Option(help="Which leads fill the sample.")] = None,
    valid_connect_s: Annotated[int | None, typer.Option(help="A conversation this long is a valid connect.")] = None,
    sign_offs: Annotated[
        bool | None, typer.Option(help="It goes through a trial and signatures; while a draft.")
    ] = None,
    skill: Annotated[list[str] | None, typer.Option(help="An agent needs them all; may be repeated.")] = None,
    purpose: Purpose = None,
    recording_pause_limit_s: Annotated[
        int | None, typer.Option(help="How long a recording may be paused; 0: not at all.")
    ] = None,
) -> None:
    """Change a project; the engine takes it at once."""
    output: Output = context.obj.output
    start, _, end = (window or "").partition("-")

    async def work(office: Office) -> object:
        wanted = {
            "mode": mode,
            "ratio": ratio,
            "window_start": start or None,
            "window_end": end or None,
            "ring_timeout_s": ring_timeout_s,
            "preview_limit_s": preview_limit_s,
            "preview_at_limit": preview_at_limit,
            "preview_skips_per_hour": preview_skips_per_hour,
            "preview_skips_per_lead": preview_skips_per_lead,
            "preview_skip_wait_s": preview_skip_wait_s,
            "preview_same_agent_wait_s": preview_same_agent_wait_s,
            "cancel_after_s": cancel_after_s,
            "machine_detection": machine_detection,
            "trial_size": trial_size,
            "trial_counts": trial_counts,
            "valid_connect_s": valid_connect_s,
            "sign_offs": sign_offs,
            "skills": skill or None,
            "share_weight": weight,
            "share_priority": priority,
            "guaranteed_agents": guaranteed_agents,
            "purpose": purpose,
            "recording_pause_limit_s": recording_pause_limit_s,
            "trunk_id": await office.id_of("trunk", trunk) if trunk else None,
        }
        return await office.do(routes.change_project, body=wanted, project_id=await office.id_of("project", name))

    output.thing(shown(in_office(work)))  # type: ignore[arg-type]


@app.command()
def budget(context: typer.Context, name: Named) -> None:
    """What is left of the abandonment budget, by which definition, and where it ends if it goes on like this."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(abandonment.get_abandonment, project_id=await office.id_of("project", name))

    found = shown(in_office(work))
    if not output.as_json:
        found |= {name: _figures(found[name]) for name in ("calls", "projected")}
    output.thing(found)


def _figures(values: dict[str, Any] | None) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in (values or {}).items())


@app.command()
def contract(
    context: typer.Context,
    name: Named,
    cap: Annotated[str | None, typer.Option(help="Abandoned of the answered, at most: 0.03 is 3 %.")] = None,
    period: Annotated[AbandonmentPeriod | None, typer.Option(help="Over what it is counted.")] = None,
    at_limit: Annotated[AtAbandonmentLimit | None, typer.Option(help="What happens when it is used up.")] = None,
    within_ms: Annotated[int | None, typer.Option(help="An agent who comes later is late; tenths of a second.")] = None,
    late: Annotated[bool | None, typer.Option(help="Late counts as abandoned.")] = None,
    machines: Annotated[bool | None, typer.Option(help="Machines count as answered.")] = None,
    false_machine_rate: Annotated[
        str | None, typer.Option(help="Share of those taken for machines that counts as abandoned people.")
    ] = None,
    safe_harbour: Annotated[str | None, typer.Option(help="Name of the prompt that abandoned callers hear.")] = None,
) -> None:
    """Change the abandonment contract; the engine takes it at its next decision. What is not given stays."""
    wanted = {
        "abandonment_cap": cap,
        "abandonment_period": period,
        "abandonment_at_limit": at_limit,
        "abandonment_within_ms": within_ms,
        "abandonment_counts_late": late,
        "abandonment_counts_machines": machines,
        "abandonment_false_machine_rate": false_machine_rate,
        "safe_harbour": safe_harbour,
    }

    async def work(office: Office) -> None:
        await office.do(routes.change_project, body=wanted, project_id=await office.id_of("project", name))

    in_office(work)
    budget(context, name)


@app.command()
def start(context: typer.Context, name: Named) -> None:
    """Dial it. The engine must run."""
    _command(context, name, routes.start_project)


@app.command()
def pause(context: typer.Context, name: Named) -> None:
    """Place no new calls; those that ring may still be answered, conversations go on."""
    _command(context, name, routes.pause_project)


@app.command()
def stop(context: typer.Context, name: Named) -> None:
    """Place no new calls and hang up what rings; conversations go on."""
    _command(context, name, routes.stop_project)


def _command(context: typer.Context, name: str, operation: Any) -> None:
    output: Output = context.obj.output

    async def work(office: Office) -> str:
        done = await office.do(operation, project_id=await office.id_of("project", name))
        return str(done.state)

    output.done(f"{name} is {in_office(work)}")


@app.command()
def agents(
    context: typer.Context,
    name: Named,
    agent: Annotated[
        list[str] | None, typer.Option(help="工号 of one who works on it; may be repeated. None given: show.")
    ] = None,
) -> None:
    """Say (or show) who works on a project: the whole list."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[UUID]:
        project_id = await office.id_of("project", name)
        if agent:
            ids = [await office.id_of("agent", number) for number in agent]
            await office.do(settings.put_agents, body={"agent_ids": ids}, project_id=project_id)
        return list((await office.do(settings.get_agents, project_id=project_id)).agent_ids)

    ids = in_office(work)
    output.rows([{"agent_id": one} for one in ids], empty="Nobody works on it yet.")


@app.command("caller-numbers")
def caller_numbers(
    context: typer.Context,
    name: Named,
    number: Annotated[
        list[str] | None, typer.Option(help="A number it may show; may be repeated. None given: show.")
    ] = None,
) -> None:
    """Say (or show) which caller numbers a project may show: the whole list."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[UUID]:
        project_id = await office.id_of("project", name)
        if number:
            ids = [await office.id_of("caller-number", one) for one in number]
            await office.do(settings.put_caller_numbers, body={"caller_number_ids": ids}, project_id=project_id)
        return list((await office.do(settings.get_caller_numbers, project_id=project_id)).caller_number_ids)

    ids = in_office(work)
    output.rows([{"caller_number_id": one} for one in ids], empty="It may show none yet, so nothing is dialled.")


@app.command()
def previews(
    context: typer.Context,
    name: Named,
    hours: Annotated[float, typer.Option(help="Of the last hours.", min=0)] = 24,
) -> None:
    """What became of the leads shown in preview: who dialled, who skipped and why."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[dict[str, Any]]:
        project_id = await office.id_of("project", name)
        since = now() - timedelta(hours=hours)
        found = await office.do(reports.get_previews, query={"since": since}, project_id=project_id)
        return [shown(one) for one in found.agents]

    output.rows(in_office(work), empty="No lead was shown.")


@app.command()
def trial(
    context: typer.Context,
    name: Named,
    new: Annotated[bool, typer.Option("--new", help="Begin a new sample first.")] = False,
) -> None:
    """What came of the sample of a project in mode trial, with 95 % intervals."""
    output: Output = context.obj.output

    async def work(office: Office) -> dict[str, Any]:
        project_id = await office.id_of("project", name)
        found = await office.do(trials.begin_trial if new else trials.get_trial, project_id=project_id)
        if output.as_json:
            return shown(found)
        shares = {"answered": found.answered, "bridged": found.bridged, "abandoned": found.abandoned}
        said = {kind: _said(share) for kind, share in (shares | dict(found.dispositions)).items()}
        return shown(found, "size", "counts", "taken", "full", "began_at", "attempts", "attempted") | said

    output.thing(in_office(work))


def _said(share: Share) -> str:
    if share.total == 0:
        return "0 of 0"
    percent = [f"{100 * one:.1f}" for one in (share.count / share.total, float(share.low), float(share.high))]
    return f"{share.count} of {share.total}, {percent[0]} % ({percent[1]} to {percent[2]})"

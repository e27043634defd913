"""why-pace: why is this dialled so fast, or so slowly, or was at a moment of the last days?"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from dialer.cli.office import Office, in_office, now
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.web.pace import routes
from dialer.web.pace.types import Pace, PaceMinute
from dialer.web.projects.routes import get_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(why_pace)


def why_pace(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    seconds: Annotated[int, typer.Option(help="How many of the decisions are shown.", min=1, max=60)] = 20,
    at: Annotated[
        str | None,
        typer.Option(help="At this time: 14:05, 2026-03-02T14:05 (in the project's zone), or with an offset."),
    ] = None,
) -> None:
    """How is a project paced? What limited the last hour and the newest decisions; or minutes and decisions around a moment of the last 14 days."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", project)
        moment = None
        if at is not None:
            zone = ZoneInfo((await office.do(get_project, project_id=project_id)).zone)
            moment = moment_of(at, now(), zone)
        return await office.do(routes.explain_pace, project_id=project_id, query={"at": moment})

    found: Pace = in_office(work)
    if output.as_json:
        output.thing(found.model_dump(mode="json"))
        return
    limits = ", ".join(f"{limit} {n}" for limit, n in found.limits.items())
    output.thing({"now": found.sentence, "limits": limits} if at is None else {"limits": limits})
    if at is not None:
        output.rows([_row(one) for one in found.minutes], empty="Nothing of that time is kept.")
    if at is None or found.recent:
        rows = [one.model_dump(mode="json") for one in found.recent[-seconds:]]
        output.rows([row | {"because": row.pop("because")} for row in rows], empty="Nothing has been decided yet.")


def moment_of(typed: str, present: datetime, zone: tzinfo) -> datetime:
    """A time as people type it; a time of day alone is the last one that was. BadRequest `time_invalid`."""
    today: date = present.astimezone(zone).date()
    try:
        of_day_alone = "T" not in typed and "-" not in typed
        moment = datetime.fromisoformat(f"{today}T{typed}" if of_day_alone else typed)
    except ValueError:
        raise BadRequest("time_invalid", f"{typed!r} is no time: write 14:05, or 2026-03-02T14:05.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment - timedelta(days=1) if of_day_alone and moment > present else moment


def _row(minute: PaceMinute) -> dict[str, Any]:
    figures = {
        name: f"{one.mean:.4g}" if one.least == one.most else f"{one.mean:.4g} ({one.least:.4g} to {one.most:.4g})"
        for name, one in minute.figures.items()
    }
    return {
        "minute": minute.began_at.isoformat(timespec="seconds"),
        "placed": minute.placed,
        "limits": minute.limits,
        "because": figures,
    }

"""why, why-pace: why is this not being dialled, and why so fast or so slowly?"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from dialer.cli.office import Office, in_office
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.web.why import routes


class What(StrEnum):
    """What can be asked about."""

    PROJECT = "project"
    AGENT = "agent"
    LEAD = "lead"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Look")(why)
    app.command(rich_help_panel="Look")(why_pace)


def why(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="project, agent or lead")],
    which: Annotated[str, typer.Argument(help="Name or id of the project, 工号 of the agent, id of the lead.")],
) -> None:
    """Why is it not being dialled? The engine answers, gate by gate."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        match what:
            case What.PROJECT:
                return await office.do(routes.explain_project, project_id=await office.id_of("project", which))
            case What.AGENT:
                return await office.do(routes.explain_agent, agent_id=await office.id_of("agent", which))
            case What.LEAD:
                if not which.isascii() or not which.isdigit():
                    raise BadRequest("id_invalid", f"{which!r} is no id of a lead: it is a whole number.")
                return await office.do(routes.explain_lead, lead_id=int(which))

    found = in_office(work)
    output.thing({"why": found.why, "sentence": found.sentence, "dialling": found.dialling, **found.detail})


def why_pace(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    seconds: Annotated[int, typer.Option(help="How many of the newest decisions are shown.", min=1, max=60)] = 20,
) -> None:
    """How is a project paced? What limited the last hour, and the newest decisions with what they were made of."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(routes.explain_pace, project_id=await office.id_of("project", project))

    found = in_office(work)
    if output.as_json:
        output.thing(found.model_dump(mode="json"))
        return
    output.thing({"now": found.sentence, "last hour": ", ".join(f"{limit} {n} s" for limit, n in found.limits.items())})
    rows = [one.model_dump(mode="json") for one in found.recent[-seconds:]]
    output.rows([row | {"because": row.pop("because")} for row in rows], empty="Nothing has been decided yet.")

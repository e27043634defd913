"""why: why is this not being dialled?"""

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
    """Add the command."""
    app.command(rich_help_panel="Look")(why)


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

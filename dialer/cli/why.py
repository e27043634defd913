"""why: why is this not being dialled?"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from dialer.cli.office import Office, in_office
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest, Unavailable
from dialer.web.api import Operation
from dialer.web.why import gates, routes
from dialer.web.why.types import Gate, NumberWhy


class What(StrEnum):
    """What can be asked about."""

    PROJECT = "project"
    AGENT = "agent"
    LEAD = "lead"
    NUMBER = "number"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Look")(why)


def why(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="project, agent, lead or number")],
    which: Annotated[
        str, typer.Argument(help="Name or id of the project, 工号 of the agent, id of the lead, telephone number.")
    ],
    project: Annotated[str | None, typer.Option(help="Of a number: name or id of the project.")] = None,
    at: Annotated[datetime | None, typer.Option(help="Of a lead or number: a past moment (UTC).")] = None,
) -> None:
    """Why is it not being dialled? Gate by gate, with the rule and who demands it; of a project, how many leads each holds back."""
    output: Output = context.obj.output
    moment = at.replace(tzinfo=UTC) if at else None

    async def work(office: Office) -> Any:
        match what:
            case What.PROJECT:
                project_id = await office.id_of("project", which)
                held = await office.do(gates.explain_list, project_id=project_id)
                return await _of_engine(office, routes.explain_project, project_id=project_id), held
            case What.AGENT:
                return await office.do(routes.explain_agent, agent_id=await office.id_of("agent", which)), None
            case What.NUMBER:
                if project is None:
                    raise BadRequest("project_missing", "Say for which project: --project NAME.")
                project_id = await office.id_of("project", project)
                body = {"number": which, "at": moment}
                return None, await office.do(gates.explain_number_gates, project_id=project_id, body=body)
            case What.LEAD:
                if not which.isascii() or not which.isdigit():
                    raise BadRequest("id_invalid", f"{which!r} is no id of a lead: it is a whole number.")
                told = await office.do(gates.explain_lead_gates, lead_id=int(which), query={"at": moment})
                engine = None if moment else await _of_engine(office, routes.explain_lead, lead_id=int(which))
                return engine, told

    _show(output, *in_office(work))


async def _of_engine(office: Office, operation: Operation, **path: Any) -> Any:
    """What the engine says; None when it is away: the gates are told without it."""
    try:
        return await office.do(operation, **path)
    except Unavailable:
        return None


def _show(output: Output, engine: Any, told: Any) -> None:
    said = (
        {"why": engine.why, "sentence": engine.sentence, "dialling": engine.dialling, **engine.detail} if engine else {}
    )
    if output.as_json:
        output.thing(said | (told.model_dump(mode="json") if told else {}) | {"engine": said or None})
        return
    if isinstance(told, NumberWhy):
        output.thing({"why": told.why, "sentence": told.sentence, "engine": said.get("sentence", "")})
        output.rows([_row(gate) for gate in told.gates], empty="There is no gate.")
    elif told is not None:
        output.thing(said | {"list": told.sentence})
    else:
        output.thing(said)


def _row(gate: Gate) -> dict[str, Any]:
    mark = {True: "open", False: "SHUT", None: "?"}[gate.passed]
    return {"gate": gate.gate, "": mark, "what it says": gate.reason, "rule": gate.rule or "", "source": gate.source}

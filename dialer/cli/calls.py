"""calls: what was dialled, and what came of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from dialer.cli.office import Office, in_office, now, shown, uuid_of
from dialer.cli.output import Output
from dialer.web.calls import routes

app = typer.Typer(no_args_is_help=True, help="What was dialled, and what came of it.")
_COLUMNS = (
    "id",
    "number",
    "mode",
    "state",
    "outcome",
    "created_at",
    "answered_at",
    "bridged_at",
    "ended_at",
    "disposition",
    "recording_state",
)


@app.command("list")
def list_calls(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Name or id of the project.")] = None,
    agent: Annotated[str | None, typer.Option(help="工号 of the agent.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only with this outcome.")] = None,
    hours: Annotated[float | None, typer.Option(help="Only of the last hours.", min=0)] = None,
    limit: Annotated[int, typer.Option(help="Most calls shown.", min=1)] = 50,
) -> None:
    """Newest first; numbers are masked where the project masks them."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Any]:
        query = {
            "project_id": await office.id_of("project", project) if project else None,
            "agent_id": await office.id_of("agent", agent) if agent else None,
            "outcome": outcome,
            "since": now() - timedelta(hours=hours) if hours else None,
        }
        return await office.all(routes.list_calls, query=query, limit=limit)

    output.rows([shown(call, *_COLUMNS) for call in in_office(work)], empty="There is no such call.")


@app.command()
def show(context: typer.Context, call_id: Annotated[str, typer.Argument(help="Id of the call.")]) -> None:
    """A call, step by step."""
    output: Output = context.obj.output
    wanted = uuid_of(call_id, "a call")
    call = in_office(lambda office: office.do(routes.get_call, call_id=wanted))
    values = shown(call)
    history = values.pop("history")
    output.thing(values | {f"  {step['what']}": step["at"] for step in history})

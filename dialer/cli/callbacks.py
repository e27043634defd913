"""callback: what was promised to customers, by whom; and giving it to somebody else."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.callbacks import routes

app = typer.Typer(no_args_is_help=True, help="Callbacks that are to be made, and who keeps them.")
_SHOWN = ("lead_id", "project", "due_at", "agent_number", "number", "name", "kept")


@app.command("list")
def list_callbacks(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Name or id of a project.")] = None,
    agent: Annotated[str | None, typer.Option(help="工号 (or id) of the agent who promised.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Those that any agent may keep.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
) -> None:
    """Callbacks that are to be made, the first due first. Not kept: nobody gets the project's calls who may keep it."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        query = {
            "project_id": await _id(office, "project", project),
            "agent_id": await _id(office, "agent", agent),
            "shared": shared,
        }
        return await office.all(routes.list_callbacks, query=query, limit=limit)

    output.rows([shown(one, *_SHOWN) for one in in_office(work)], empty="No callback is to be made.")


@app.command()
def reassign(
    context: typer.Context,
    lead: Annotated[list[int] | None, typer.Option(help="A lead; may be repeated.")] = None,
    from_agent: Annotated[str | None, typer.Option("--from", help="All of this agent: 工号 (or id).")] = None,
    project: Annotated[str | None, typer.Option(help="With --from: in this project only.")] = None,
    to: Annotated[str | None, typer.Option(help="工号 (or id) of the agent who keeps them now.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Any agent of the project may keep them.")] = False,
) -> None:
    """Give callbacks to another agent, or to whoever is free: all that are named, or none."""
    output: Output = context.obj.output
    if shared == (to is not None):
        raise typer.BadParameter("Say who keeps them now: --to an agent, or --shared.")

    async def work(office: Office) -> Any:
        body = {
            "lead_ids": lead or None,
            "from_agent_id": await _id(office, "agent", from_agent),
            "project_id": await _id(office, "project", project),
            "to_agent_id": await _id(office, "agent", to),
        }
        return await office.do(routes.reassign, body=body)

    moved = in_office(work).moved
    output.done(f"{moved} callback(s) given on.", moved=moved)


async def _id(office: Office, kind: str, given: str | None) -> Any:
    return None if given is None else await office.id_of(kind, given)

"""team: groups of agents; and who works on which project."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.teams import routes

app = typer.Typer(no_args_is_help=True, help="Groups of agents, and who works on which project.")
Named = Annotated[str, typer.Argument(help="Name or id of the team.")]
_OF = "may be repeated; NAME:5 gives it a priority (0 to 9, higher first). None given: show."


@app.command("list")
def list_teams(context: typer.Context) -> None:
    """All teams."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_teams))
    output.rows([shown(one) for one in found.teams], empty="There is no team yet: waihu team create.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    senior: Annotated[bool, typer.Option("--senior", help="It takes the calls of trials.")] = False,
) -> None:
    """A new team."""
    output: Output = context.obj.output
    output.thing(shown(in_office(lambda office: office.do(routes.create_team, body={"name": name, "senior": senior}))))


@app.command()
def change(
    context: typer.Context,
    name: Named,
    rename: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    senior: Annotated[bool | None, typer.Option(help="It takes the calls of trials.")] = None,
) -> None:
    """Rename a team, or say whether it is senior."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        body = {"name": rename, "senior": senior}
        return await office.do(routes.change_team, body=body, team_id=await office.id_of("team", name))

    output.thing(shown(in_office(work)))


@app.command()
def put(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="工号 (or id) of the agent.")],
    team: Annotated[str | None, typer.Argument(help="Name or id of the team; none: into no team.")] = None,
) -> None:
    """Put an agent into a team."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        team_id = None if team is None else await office.id_of("team", team)
        agent_id = await office.id_of("agent", number)
        return await office.do(routes.put_team, body={"team_id": team_id} if team_id else {}, agent_id=agent_id)

    _shown(output, in_office(work))


@app.command()
def move(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="工号 (or id) of the agent.")],
    project: Annotated[list[str] | None, typer.Option(help=f"A project they work on; {_OF}")] = None,
    none: Annotated[bool, typer.Option("--none", help="No project but those of their team.")] = False,
) -> None:
    """Move an agent between projects, from the next call on: the whole list."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        agent_id = await office.id_of("agent", number)
        if not project and not none:
            return await office.do(routes.get_assignment, agent_id=agent_id)
        body = {"projects": [await _priority(office, "project", one) for one in project or ()]}
        return await office.do(routes.move_agent, body=body, agent_id=agent_id)

    _shown(output, in_office(work))


@app.command()
def projects(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id of the project.")],
    team: Annotated[list[str] | None, typer.Option(help=f"A team that works on it; {_OF}")] = None,
    none: Annotated[bool, typer.Option("--none", help="No team works on it.")] = False,
) -> None:
    """Say (or show) which teams work on a project: the whole list."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", name)
        if not team and not none:
            return await office.do(routes.get_project_teams, project_id=project_id)
        body = {"teams": [await _priority(office, "team", one) for one in team or ()]}
        return await office.do(routes.put_project_teams, body=body, project_id=project_id)

    output.rows([shown(one) for one in in_office(work).teams], empty="No team works on it.")


async def _priority(office: Office, kind: str, text: str) -> dict[str, Any]:
    name, _, priority = text.rpartition(":") if text.rpartition(":")[2].isdigit() and ":" in text else (text, "", "0")
    return {f"{kind}_id": await office.id_of(kind, name), "priority": int(priority)}


def _shown(output: Output, found: Any) -> None:
    output.rows([shown(one) for one in found.projects], empty="They work on no project.")

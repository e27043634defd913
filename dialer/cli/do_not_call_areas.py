"""dnc area: prefixes and regions that must not be called."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dialer.cli.do_not_call import ForClient, ForProject, Until, Why, utc, whom
from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.do_not_call import routes


class Kind(StrEnum):
    """What an area is."""

    PREFIX = "prefix"
    REGION = "region"


app = typer.Typer(no_args_is_help=True, help="Prefixes and regions that must not be called.")
What = Annotated[Kind, typer.Argument(help="prefix or region.")]
Value = Annotated[str, typer.Argument(help="A prefix such as +8610, or a region as leads name it (上海, US).")]


@app.command("list")
def list_areas(context: typer.Context) -> None:
    """All of them, for whom, and until when."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_areas)).areas
    output.rows([shown(one) for one in found], empty="No prefix and no region is on the list.")


@app.command()
def add(
    context: typer.Context,
    kind: What,
    value: Value,
    why: Why,
    client: ForClient = None,
    project: ForProject = None,
    until: Until = None,
) -> None:
    """Put a prefix or region on the list. While a region is on it, leads whose region is not known are not called either."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        reach = await whom(office, client, project) | {"expires_at": utc(until)}
        body = {"kind": kind.value, "value": value, "reason": why, **reach}
        return int((await office.do(routes.add_area, body=body)).added)

    added = in_office(work)
    output.done("on the list" if added else "it was on the list, and for as long", added=added)


@app.command()
def remove(
    context: typer.Context, kind: What, value: Value, why: Why, client: ForClient = None, project: ForProject = None
) -> None:
    """Lift the entry of a prefix or region: the one for everybody, unless a client or a project is named."""
    output: Output = context.obj.output

    async def work(office: Office) -> None:
        body = {"kind": kind.value, "value": value, "reason": why, **await whom(office, client, project)}
        await office.do(routes.remove_area, body=body)

    in_office(work)
    output.done("lifted")

"""supply: what a project dials, in what order, and how long it lasts."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from campaigns.supply.ordering import OrderBy
from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.web.supply import routes

app = typer.Typer(no_args_is_help=True, help="What a project dials, in what order, and how long it lasts.")
Project = Annotated[str, typer.Argument(help="Name or id of the project.")]
Filter = Annotated[str | None, typer.Option("--filter", help="A condition as JSON; none: everybody.")]


@app.command()
def show(context: typer.Context, project: Project) -> None:
    """The filter and the order, and how far the leads are judged by them."""
    _show(context.obj.output, in_office(lambda office: _asked(office, routes.get_supply, project)))


@app.command("set")
def set_supply(
    context: typer.Context,
    project: Project,
    condition: Filter = None,
    order: Annotated[OrderBy, typer.Option(help="What comes first.")] = OrderBy.OLDEST,
    column: Annotated[str | None, typer.Option(help="For the orders by field: a column of the client's list.")] = None,
    descending: Annotated[bool, typer.Option("--descending")] = False,
    seed: Annotated[int, typer.Option(help="For random.", min=0)] = 0,
    retry_first: Annotated[bool, typer.Option("--retry-first", help="Who comes again goes first.")] = False,
    weight: Annotated[list[str] | None, typer.Option(help="Import=weight; may be said several times.")] = None,
    alarm_hours: Annotated[int, typer.Option(help="Alarm when the data lasts less.", min=0, max=1000)] = 4,
) -> None:
    """Set the filter and the order; a running engine judges the leads by them."""
    weights = {name: value for name, _, value in (one.partition("=") for one in weight or [])}
    ordering = {"by": order.value, "column": column, "descending": descending, "seed": seed, "retry_first": retry_first, "weights": weights}  # fmt: skip
    body = {"filter": _condition(condition), "ordering": ordering, "alarm_hours": alarm_hours}
    _show(context.obj.output, in_office(lambda office: _asked(office, routes.set_supply, project, body=body)))


@app.command()
def count(context: typer.Context, project: Project, condition: Filter = None) -> None:
    """How many leads a filter would take in."""
    output: Output = context.obj.output
    body = {"filter": _condition(condition)}
    found = in_office(lambda office: _asked(office, routes.count_filter, project, body=body))
    output.thing(shown(found, "matching", "leads"))


@app.command()
def lasting(context: typer.Context, project: Project) -> None:
    """How long the data lasts at the rate of the last hour."""
    output: Output = context.obj.output
    found = in_office(lambda office: _asked(office, routes.get_lasting, project))
    output.thing(shown(found, "fresh", "coming_back", "per_hour", "hours", "alarm_hours", "alarm"))


async def _asked(office: Office, operation: Any, project: str, **more: Any) -> Any:
    return await office.do(operation, project_id=await office.id_of("project", project), **more)


def _show(output: Output, supply: Any) -> None:
    output.thing(shown(supply, "filter", "ordering", "alarm_hours", "applied", "applied_at", "judged", "to_judge", "matching", "error"))  # fmt: skip


def _condition(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest("filter_no_json", f"The filter is no JSON: {error}.") from error

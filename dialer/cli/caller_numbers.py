"""caller-number: what those who are called may see."""

from __future__ import annotations

from typing import Annotated

import typer

from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.caller_numbers import routes

app = typer.Typer(no_args_is_help=True, help="Numbers that may be shown to those who are called.")
Number = Annotated[str, typer.Argument(help="In E.164 form: +8621....")]


@app.command("list")
def list_numbers(context: typer.Context) -> None:
    """All of them."""
    output: Output = context.obj.output
    numbers = in_office(lambda office: office.all(routes.list_caller_numbers))
    output.rows([shown(number) for number in numbers], empty="There is no caller number yet: waihu caller-number add.")


@app.command()
def add(
    context: typer.Context,
    number: Number,
    trunk: Annotated[str, typer.Option(help="Name or id of the trunk it belongs to.")],
) -> None:
    """Put a number on the list. A project shows it once it is on the project's own list."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        return await office.do(
            routes.create_caller_number, body={"number": number, "trunk_id": await office.id_of("trunk", trunk)}
        )

    output.thing(shown(in_office(work)))  # type: ignore[arg-type]


@app.command("set")
def set_state(
    context: typer.Context,
    number: Number,
    state: Annotated[str, typer.Argument(help="active, resting or retired")],
    why: Annotated[str, typer.Option(help="The reason; it is kept.")],
) -> None:
    """Use, rest or retire a number; takes effect with the next call."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        return await office.do(
            routes.change_caller_number,
            body={"state": state, "why": why},
            caller_number_id=await office.id_of("caller-number", number),
        )

    output.thing(shown(in_office(work)))  # type: ignore[arg-type]


@app.command()
def limit(
    context: typer.Context,
    number: Number,
    channels: Annotated[int | None, typer.Option(help="Most calls at once; left out: no limit.")] = None,
    cps: Annotated[str | None, typer.Option(help="Most new calls in a second; left out: no limit.")] = None,
    per_hour: Annotated[int | None, typer.Option(help="Most new calls in any hour; left out: no limit.")] = None,
) -> None:
    """Say what a number may carry; takes effect with the next call."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        return await office.do(
            routes.put_caller_number_limits,
            body={"max_channels": channels, "max_cps": cps, "max_per_hour": per_hour},
            caller_number_id=await office.id_of("caller-number", number),
        )

    output.thing(shown(in_office(work)))  # type: ignore[arg-type]

"""dnc: who must not be called."""

from __future__ import annotations

import sys
from itertools import islice
from typing import Annotated

import typer

from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.do_not_call import routes

app = typer.Typer(no_args_is_help=True, help="Who must not be called. An entry holds within a second, on all nodes.")
Number = Annotated[str, typer.Argument(help="A telephone number.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]
_AT_ONCE = 1000


@app.command("list")
def list_entries(
    context: typer.Context, limit: Annotated[int, typer.Option(help="Most entries shown.", min=1)] = 100
) -> None:
    """Newest first; numbers are masked."""
    output: Output = context.obj.output
    entries = in_office(lambda office: office.all(routes.list_entries, limit=limit))
    output.rows(
        [shown(entry, "number", "reason", "source", "created_at") for entry in entries], empty="Nobody is on the list."
    )


@app.command()
def add(
    context: typer.Context,
    why: Why,
    number: Annotated[list[str] | None, typer.Argument(help="Numbers; none: one a line from standard input.")] = None,
) -> None:
    """Put numbers on the list; their waiting leads leave the lists of all projects."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        lines = iter(number) if number else (line.strip() for line in sys.stdin if line.strip())
        added = 0
        while some := list(islice(lines, _AT_ONCE)):
            added += (await office.do(routes.add_entries, body={"numbers": some, "reason": why})).added
        return added

    added = in_office(work)
    output.done(f"{added} new on the list", added=added)


@app.command()
def check(context: typer.Context, number: Number) -> int:
    """Whether a number is on the list. Exit code 1 when it is not."""
    output: Output = context.obj.output
    listed = in_office(lambda office: office.do(routes.check_number, body={"number": number})).listed
    output.done("on the list" if listed else "not on the list", listed=listed)
    return 0 if listed else 1


@app.command()
def remove(context: typer.Context, number: Number, why: Why) -> None:
    """Take a number off. Its leads stay out of the lists: calling them again is a decision of its own."""
    output: Output = context.obj.output
    in_office(lambda office: office.do(routes.remove_entry, body={"number": number, "reason": why}))
    output.done("off the list")

"""locality: where numbers are at home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from campaigns.locality.place import block_of
from campaigns.locality.tables import books, know_blocks, load_table
from campaigns.numbers import normalise
from campaigns.supply.relocating import relocate as relocate_leads
from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.localities import routes

app = typer.Typer(no_args_is_help=True, help="Where numbers are at home: prefix tables, province, city, carrier, zone.")


@app.command()
def load(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="CSV or workbook: prefix, province, city, carrier.", exists=True, dir_okay=False)
    ],
    name: Annotated[str, typer.Option(help="What the table is called.")],
    version: Annotated[str, typer.Option(help="Its version; a version is loaded once.")],
    use: Annotated[bool, typer.Option("--use", help="Take it into use at once.")] = False,
) -> None:
    """Load a version of a prefix table beside the one in use."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        table_id = await load_table(office.pool, file, name=name, version=version)
        if use:
            await office.do(routes.use_table, table_id=table_id)
        return table_id

    table_id = in_office(work)
    output.done(f"{name} {version} is loaded as table {table_id}{' and in use' if use else ''}.", id=table_id)


@app.command("list")
def list_tables(context: typer.Context) -> None:
    """The tables, the latest first."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_tables))
    output.rows(
        [shown(one, "id", "name", "version", "blocks", "in_use", "loaded_at") for one in found],
        empty="There is no table: the numbering plan alone is asked.",
    )


@app.command("use")
def use_table(context: typer.Context, table: Annotated[int, typer.Argument(help="The table's id.")]) -> None:
    """Take a table into use for imports from now on."""
    output: Output = context.obj.output
    in_office(lambda office: office.do(routes.use_table, table_id=table))
    output.done(f"Table {table} is in use; waihu locality relocate gives its places to the leads that are there.")


@app.command()
def relocate(context: typer.Context) -> None:
    """Give the leads that are there the place the tables say now; may be broken off and begun again."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        with Progress(TextColumn("{task.completed:,} leads looked at"), console=Console(stderr=True), transient=True, disable=output.as_json) as bar:  # fmt: skip
            task = bar.add_task("relocate", total=None)
            return await relocate_leads(office.pool, progress=lambda seen: bar.update(task, completed=seen))

    changed = in_office(work)
    output.done(f"{changed:,} leads have another place now.", changed=changed)


@app.command("of")
def of_number(context: typer.Context, number: Annotated[str, typer.Argument(help="A telephone number.")]) -> None:
    """Where a number is at home."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        block = block_of(normalise(number, office.settings.region).e164)
        await know_blocks(office.pool, await books(office.pool), [block])
        return await office.do(routes.get_locality, query={"number": number})

    found = in_office(work)
    output.thing(shown(found, "country", "province", "city", "carrier", "zone"))

"""trunk: ways to carriers."""

from __future__ import annotations

from typing import Annotated

import typer

from dialer.cli.office import Office, in_office, shown
from dialer.cli.output import Output
from dialer.web.trunks import routes

app = typer.Typer(no_args_is_help=True, help="Ways to carriers.")
_COLUMNS = (
    "name", "node", "endpoint", "max_channels", "max_cps", "number_format", "enabled", "caller_format", "caller_prefix", "pai", "privacy", "domain", "diversion",
    "id",
)  # fmt: skip
CallerFormat = Annotated[str | None, typer.Option(help="How it wants our number: e164, national or digits.")]
Prefix = Annotated[str | None, typer.Option(help="Digits before our number; '' for none.")]
Pai = Annotated[
    str | None, typer.Option(help="P-Asserted-Identity: off, from (our number as in From) or e164 (in that form).")
]
Privacy = Annotated[
    str | None, typer.Option(help="id: the callee does not see our number, the carrier does; none: everybody does.")
]
Domain = Annotated[
    str | None, typer.Option(help="Host beside our number in P-Asserted-Identity and Diversion; '' for tel URIs.")
]


@app.command("list")
def list_trunks(context: typer.Context) -> None:
    """All trunks."""
    output: Output = context.obj.output
    trunks = in_office(lambda office: office.all(routes.list_trunks))
    output.rows([shown(trunk, *_COLUMNS) for trunk in trunks], empty="There is no trunk yet: waihu trunk create.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name.")],
    endpoint: Annotated[str, typer.Option(help="Name of the PJSIP endpoint on the node.")],
    channels: Annotated[int, typer.Option(help="Most calls at once.")],
    cps: Annotated[str, typer.Option(help="Most new calls in a second.")] = "5",
    number_format: Annotated[
        str, typer.Option("--format", help="How the carrier wants numbers: e164, national or digits.")
    ] = "e164",
    node: Annotated[str | None, typer.Option(help="The Asterisk node; default: this one.")] = None,
    caller_format: CallerFormat = None,
    caller_prefix: Prefix = None,
    pai: Pai = None,
    privacy: Privacy = None,
    domain: Domain = None,
) -> None:
    """What we may use of a carrier. The node must be known: `waihu serve` makes it known."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        wanted = {
            "name": name,
            "node": node or office.settings.node,
            "endpoint": endpoint,
            "max_channels": channels,
            "max_cps": cps,
            "number_format": number_format,
            "caller_format": caller_format,
            "caller_prefix": caller_prefix,
            "pai": pai,
            "privacy": privacy,
            "domain": domain,
        }
        await office.pool.execute("insert into nodes (name) values ($1) on conflict do nothing", wanted["node"])
        return await office.do(routes.create_trunk, body=wanted)

    output.thing(shown(in_office(work), *_COLUMNS))  # type: ignore[arg-type]


@app.command()
def change(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name or id.")],
    channels: Annotated[int | None, typer.Option(help="Most calls at once.")] = None,
    cps: Annotated[str | None, typer.Option(help="Most new calls in a second.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it is used.")] = None,
    caller_format: CallerFormat = None,
    caller_prefix: Prefix = None,
    pai: Pai = None,
    privacy: Privacy = None,
    domain: Domain = None,
    diversion: Annotated[
        str | None, typer.Option(help="A caller number of this trunk for the Diversion header; '' for none.")
    ] = None,
) -> None:
    """Change a trunk; engines take it at once."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        return await office.do(
            routes.change_trunk,
            body={
                "max_channels": channels,
                "max_cps": cps,
                "enabled": enabled,
                "caller_format": caller_format,
                "caller_prefix": caller_prefix,
                "pai": pai,
                "privacy": privacy,
                "domain": domain,
                "diversion": diversion,
            },
            trunk_id=await office.id_of("trunk", name),
        )

    output.thing(shown(in_office(work), *_COLUMNS))  # type: ignore[arg-type]


@app.command()
def nodes(context: typer.Context) -> None:
    """Asterisk nodes, and whether an engine holds each."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_nodes))
    output.rows([shown(node) for node in found.items], empty="There is no node yet: start waihu serve.")


@app.command("limit-node")
def limit_node(
    context: typer.Context,
    node: Annotated[str | None, typer.Argument(help="The Asterisk node; default: this one.")] = None,
    channels: Annotated[int | None, typer.Option(help="Most customers' calls at once; left out: no limit.")] = None,
    cps: Annotated[str | None, typer.Option(help="Most new calls in a second; left out: no limit.")] = None,
) -> None:
    """Say what a node may carry over all its trunks."""
    output: Output = context.obj.output

    async def work(office: Office) -> object:
        wanted = {"max_channels": channels, "max_cps": cps}
        return await office.do(routes.put_node_limits, body=wanted, name=node or office.settings.node)

    output.thing(shown(in_office(work)))  # type: ignore[arg-type]

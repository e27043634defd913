"""caller-number: what those who are called may see."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from dialer.cli.office import Office, in_office, now, shown, uuid_of
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest
from dialer.web.api import Operation
from dialer.web.caller_numbers import certificates, routes
from dialer.web.caller_numbers import health as caller_number_health

app = typer.Typer(no_args_is_help=True, help="Numbers that may be shown to those who are called.")
Number = Annotated[str, typer.Argument(help="In E.164 form: +8621....")]
Owner = Annotated[str | None, typer.Option(help="Whose number it is.")]
Purpose = Annotated[
    list[str] | None, typer.Option(help="What it may be shown for; may be repeated; '' alone: for everything.")
]
Province = Annotated[str | None, typer.Option(help="Where it is at home; left out: as the tables say.")]
City = Annotated[str | None, typer.Option(help="Where it is at home.")]
_COLUMNS = (
    "number", "state", "why", "rests_until", "owner", "purposes", "province", "city", "certified", "used_today", "max_per_day", "cools_until", "alarm", "label",
)  # fmt: skip
_CERTIFICATE = ("id", "file_name", "valid_from", "valid_until", "size", "withdrawn_why", "sha256")


@app.command("list")
def list_numbers(context: typer.Context) -> None:
    """All of them."""
    output: Output = context.obj.output
    numbers = in_office(lambda office: office.all(routes.list_caller_numbers))
    output.rows(
        [shown(number, *_COLUMNS) for number in numbers],
        empty="There is no caller number yet: waihu caller-number add.",
    )


@app.command()
def add(
    context: typer.Context,
    number: Number,
    trunk: Annotated[str, typer.Option(help="Name or id of the trunk it belongs to.")],
    owner: Owner = None,
    purpose: Purpose = None,
    province: Province = None,
    city: City = None,
) -> None:
    """Put a number on the list. A project shows it once it is on the project's own list."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        wanted = {"number": number, "trunk_id": await office.id_of("trunk", trunk), "owner": owner, "province": province, "city": city}  # fmt: skip
        return await office.do(
            routes.create_caller_number, body={**wanted, "purposes": [one for one in purpose or () if one]}
        )

    output.thing(shown(in_office(work)))


@app.command("set")
def set_state(
    context: typer.Context,
    number: Number,
    state: Annotated[str, typer.Argument(help="active, resting or retired")],
    why: Annotated[str, typer.Option(help="The reason; it is kept.")],
    hours: Annotated[float | None, typer.Option(help="A rest ends by itself after so many; left out: by you.")] = None,
) -> None:
    """Use, rest or retire a number; from the answer on no call goes out with one that rests."""
    body: dict[str, Any] = {"state": state, "why": why}
    if hours is not None:
        body["rests_until"] = now() + timedelta(hours=hours)
    _done(context, routes.change_caller_number, number, body)


@app.command()
def describe(
    context: typer.Context,
    number: Number,
    owner: Owner = None,
    purpose: Purpose = None,
    province: Province = None,
    city: City = None,
    zone: Annotated[str | None, typer.Option(help="Whose days its daily cap counts: Asia/Shanghai.")] = None,
) -> None:
    """Say whose it is, what it may be shown for, and where it is at home; what is left out stays."""
    purposes = None if purpose is None else [one for one in purpose if one]
    body = {"owner": owner, "purposes": purposes, "province": province, "city": city, "zone": zone}
    _done(context, routes.change_caller_number_facts, number, body)


@app.command()
def limit(
    context: typer.Context,
    number: Number,
    channels: Annotated[int | None, typer.Option(help="Most calls at once; left out: no limit.")] = None,
    cps: Annotated[str | None, typer.Option(help="Most new calls in a second; left out: no limit.")] = None,
    per_hour: Annotated[int | None, typer.Option(help="Most new calls in any hour; left out: no limit.")] = None,
    per_day: Annotated[int | None, typer.Option(help="Most calls in a day; left out: no limit.")] = None,
    cool_after: Annotated[int | None, typer.Option(help="After so many calls it cools down; with --cool-min.")] = None,
    cool_min: Annotated[int | None, typer.Option(help="For so many minutes it is not shown then.")] = None,
) -> None:
    """Say what a number may carry; takes effect with the next call."""
    body = {
        "max_channels": channels,
        "max_cps": cps,
        "max_per_hour": per_hour,
        "max_per_day": per_day,
        "cool_after_calls": cool_after,
        "cool_min": cool_min,
    }
    _done(context, routes.put_caller_number_limits, number, body)


@app.command()
def certify(
    context: typer.Context,
    number: Number,
    file: Annotated[Path, typer.Argument(help="The certificate, at most 5 MB.", exists=True, dir_okay=False)],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day it covers.")],
    last: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day it covers.")],
) -> None:
    """Keep a certificate: from now on the number is shown only on days that one covers."""
    if file.stat().st_size > certificates.MOST_BYTES:
        raise BadRequest("certificate_size", "A certificate has at most 5 MB: send a smaller scan.")
    content = base64.b64encode(file.read_bytes())
    body = {"file_name": file.name, "valid_from": first.date(), "valid_until": last.date(), "content": content}
    _done(context, certificates.add_certificate, number, body, *_CERTIFICATE)


@app.command("certificates")
def list_certificates(context: typer.Context, number: Number) -> None:
    """The certificates of a number, the withdrawn ones too."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(
            certificates.list_certificates, caller_number_id=await office.id_of("caller-number", number)
        )

    rows = [shown(one, *_CERTIFICATE) for one in in_office(work).items]
    output.rows(rows, empty="It has no certificate, and needs none until it gets one.")


@app.command("withdraw")
def withdraw_certificate(
    context: typer.Context,
    number: Number,
    certificate: Annotated[str, typer.Argument(help="Its id.")],
    why: Annotated[str, typer.Option(help="The reason; it is kept.")],
) -> None:
    """Say that a certificate counts no more."""
    certificate_id = uuid_of(certificate, "a certificate")
    _done(
        context,
        certificates.withdraw_certificate,
        number,
        {"why": why},
        *_CERTIFICATE,
        certificate_id=certificate_id,
    )


@app.command()
def health(context: typer.Context, number: Number) -> None:
    """How it does against the other numbers of its trunk: answers, calls that end at once, complaints."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(
            caller_number_health.get_health, caller_number_id=await office.id_of("caller-number", number)
        )

    found = in_office(work)
    output.thing(shown(found, "calls", "answered", "short", "complaints", "alarm"))
    output.rows([shown(drift) for drift in found.drifts], empty="Too few calls to judge it by.")


@app.command()
def complaint(
    context: typer.Context,
    number: Number,
    source: Annotated[str, typer.Option(help="Who complained: carrier, regulator or customer.")],
    note: Annotated[str, typer.Option(help="What is known of it.")] = "",
) -> None:
    """Write down a complaint about calls from a number."""
    output: Output = context.obj.output

    async def work(office: Office) -> None:
        await office.do(
            caller_number_health.add_complaint,
            body={"source": source, "note": note},
            caller_number_id=await office.id_of("caller-number", number),
        )

    in_office(work)
    output.done("The complaint is written down.", number=number)


def _done(
    context: typer.Context, operation: Operation, number: str, body: dict[str, Any], *columns: str, **path: Any
) -> None:
    output: Output = context.obj.output

    async def work(office: Office) -> BaseModel:
        caller_number_id = await office.id_of("caller-number", number)
        done: BaseModel = await office.do(operation, body=body, caller_number_id=caller_number_id, **path)
        return done

    output.thing(shown(in_office(work), *columns))

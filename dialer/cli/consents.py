"""consents: who agreed to be called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from campaigns.importing.consents import ConsentLoad, ConsentOptions, load_consents
from campaigns.tables.encoding import ANSWERS
from dialer.cli.office import Office, actor, in_office, now, shown, uuid_of
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.web.consents import routes

app = typer.Typer(no_args_is_help=True, help="Who agreed to be called, and what proves it.")
Number = Annotated[str, typer.Argument(help="A telephone number.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]


@app.command()
def load(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="A list with the columns number, scope, evidence and given at; also client and expires at.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    scope: Annotated[str | None, typer.Option(help="What was agreed to, for rows that do not say it.")] = None,
    client: Annotated[str, typer.Option(help="For whom, for rows that do not say it; left out: all.")] = "",
    zone: Annotated[str | None, typer.Option(help="Zone of the times, such as Asia/Shanghai.")] = None,
    region: Annotated[str | None, typer.Option(help="Country of numbers without one; left out: the setting.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help=f"Of a CSV file, when it is asked for: {', '.join(ANSWERS)}.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook with several sheets.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Directory of the reject file; left out: that of the list.", file_okay=False)
    ] = None,
) -> int:
    """Write the consents of a file down; the other rows come back in a file with reasons. Exit code 1 when no row is good."""
    output: Output = context.obj.output

    async def work(office: Office) -> ConsentLoad:
        at = now()
        reject_dir = rejects or file.parent
        reject_dir.mkdir(parents=True, exist_ok=True)
        options = ConsentOptions(
            region=region or office.settings.region, scope=scope or "", client=client, zone=zone, encoding=encoding, sheet=sheet
        )  # fmt: skip
        done = await load_consents(office.pool, file, options=options, now=at, reject_dir=reject_dir)
        async with office.pool.acquire() as connection:
            entry = audit_trail.Entry(
                at=at, user_id=None, actor=actor(), address=None, action="consents_loaded", subject_type="consent_load", subject_id=str(done.id),
                detail={"accepted": done.accepted, "known": done.known, "rejected": done.rejected, "file_name": file.name},
            )  # fmt: skip
            await audit_trail.write(connection, entry)
        return done

    done = in_office(work)
    output.thing(
        {
            "id": done.id,
            "accepted": done.accepted,
            "known": done.known,
            "rejected": done.rejected,
            "reject_file": done.reject_path,
        }
    )
    return 1 if done.rejected and not done.accepted + done.known else 0


@app.command()
def undo(
    context: typer.Context,
    load_id: Annotated[str, typer.Argument(help="What load has answered as id.")],
    why: Why,
) -> None:
    """End the consents of a file that should not have been loaded."""
    output: Output = context.obj.output
    which: UUID = uuid_of(load_id, "a load of consents")
    ended = in_office(lambda office: office.do(routes.undo_load, body={"reason": why}, load_id=which)).ended
    output.done(f"{ended} consents are ended", ended=ended)


@app.command()
def find(context: typer.Context, number: Number) -> None:
    """The consents of a number, the ended ones too."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.find_consents, body={"number": number})).consents
    output.rows([shown(one) for one in found], empty="There is none.")


@app.command()
def withdraw(
    context: typer.Context,
    number: Number,
    why: Why,
    scope: Annotated[str | None, typer.Option(help="Of this scope; left out: all.")] = None,
) -> None:
    """End the consents of a number; it holds from the next claim on."""
    output: Output = context.obj.output
    body = {"number": number, "reason": why, "scope": scope}
    ended = in_office(lambda office: office.do(routes.withdraw_consents, body=body)).ended
    output.done(f"{ended} consents are ended", ended=ended)

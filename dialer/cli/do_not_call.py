"""dnc: who must not be called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from campaigns.do_not_call_lists import LoadedFile, load_file
from campaigns.tables.encoding import ANSWERS
from dialer.cli.office import Office, actor, in_office, now, shown
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.web.do_not_call import routes

app = typer.Typer(no_args_is_help=True, help="Who must not be called. An entry holds within a second, on all nodes.")
Number = Annotated[str, typer.Argument(help="A telephone number.")]
ForClient = Annotated[str | None, typer.Option("--client", help="Only for this client's projects.")]
ForProject = Annotated[str | None, typer.Option("--project", help="Only for this project: name or id.")]
Until = Annotated[datetime | None, typer.Option("--until", help="Until then (UTC); left out: for good.")]
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
    client: ForClient = None,
    project: ForProject = None,
    until: Until = None,
    guarded_until: Annotated[datetime | None, typer.Option(help="Not to be lifted before (UTC).")] = None,
) -> None:
    """Put numbers on the list; their waiting leads leave the lists of all projects it is for."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        added = 0
        reach = await whom(office, client, project)
        reach |= {"expires_at": utc(until), "guarded_until": utc(guarded_until)}
        for some in _given(number):
            added += (await office.do(routes.add_entries, body={"numbers": some, "reason": why, **reach})).added
        return added

    added = in_office(work)
    output.done(f"{added} new, or on the list for longer", added=added)


@app.command()
def check(context: typer.Context, number: Number) -> int:
    """By which entries a number must not be called. Exit code 1 when there is none."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.check_number, body={"number": number}))
    output.rows([shown(one) for one in found.entries], empty="not on any list")
    return 0 if found.listed else 1


@app.command()
def remove(
    context: typer.Context, number: Number, why: Why, client: ForClient = None, project: ForProject = None
) -> None:
    """Lift the entry of a number: the one for everybody, unless a client or a project is named. Leads that left their lists stay out: see bring-back."""
    output: Output = context.obj.output

    async def work(office: Office) -> None:
        body = {"number": number, "reason": why, **await whom(office, client, project)}
        await office.do(routes.remove_entry, body=body)

    in_office(work)
    output.done("lifted")


@app.command("bring-back")
def bring_back(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    why: Why,
    number: Annotated[list[str] | None, typer.Argument(help="Numbers; none: one a line from standard input.")] = None,
) -> None:
    """Let a project call numbers again whose entries were lifted; those that are on a list stay out."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        project_id, leads = await office.id_of("project", project), 0
        for some in _given(number):
            body = {"numbers": some, "reason": why}
            leads += (await office.do(routes.bring_back, body=body, project_id=project_id)).leads
        return leads

    leads = in_office(work)
    output.done(f"{leads} leads are back", leads=leads)


@app.command()
def lists(context: typer.Context) -> None:
    """The lists of others (registries, refusals), and how old they are."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_lists)).lists
    output.rows([shown(one) for one in found], empty="No list was loaded.")


@app.command()
def load(
    context: typer.Context,
    category: Annotated[str, typer.Argument(help="The list's name in the rules, such as us-national-dnc.")],
    file: Annotated[
        Path,
        typer.Argument(help="A number at the beginning of each line, or a workbook.", exists=True, dir_okay=False),
    ],
    region: Annotated[str | None, typer.Option(help="Country of numbers without one; left out: the setting.")] = None,
    encoding: Annotated[str | None, typer.Option(help=f"When it is asked for: {', '.join(ANSWERS)}.")] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Although it is empty, much shorter than before, or has many wrong lines.")
    ] = False,
) -> None:
    """Put a whole list in the place of the one before, all or nothing. A few lines that are no number are counted and left out."""
    output: Output = context.obj.output

    async def work(office: Office) -> LoadedFile:
        at = now()
        async with office.pool.acquire() as conn, conn.transaction():
            home = region or office.settings.region
            done = await load_file(conn, category, file, region=home, now=at, encoding=encoding, anyway=anyway)
            entry = audit_trail.Entry(
                at=at, user_id=None, actor=actor(), address=None, action="do_not_call_list_loaded", subject_type="do_not_call", subject_id=category,
                detail={"entries": done.entries, "file_name": file.name, "left_out": done.left_out, "anyway": anyway},
            )  # fmt: skip
            await audit_trail.write(conn, entry)
        return done

    done = in_office(work)
    left_out = (
        f"; {done.left_out} lines are no number, the first is line {done.first_left_out}" if done.left_out else ""
    )
    output.done(f"{done.entries} numbers in {category}{left_out}", entries=done.entries, left_out=done.left_out)


async def whom(office: Office, client: str | None, project: str | None) -> dict[str, Any]:
    """Whom an entry is for, as the operations take it."""
    return {"client": client, "project_id": await office.id_of("project", project) if project else None}


def _given(numbers: list[str] | None) -> Iterator[list[str]]:
    """The numbers of the command, or else of standard input, in parts."""
    lines = iter(numbers) if numbers else (line.strip() for line in sys.stdin if line.strip())
    while some := list(islice(lines, _AT_ONCE)):
        yield some


def utc(at: datetime | None) -> datetime | None:
    """A time that was typed: it is UTC."""
    return at.replace(tzinfo=UTC) if at else None

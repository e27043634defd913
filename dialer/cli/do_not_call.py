"""dnc: who must not be called."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from campaigns import do_not_call as campaign_do_not_call
from campaigns.errors import BadInput
from campaigns.numbers import normalise
from dialer.cli.office import Office, actor, in_office, now, shown
from dialer.cli.output import Output
from dialer.db import audit_trail
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
    client: Annotated[str | None, typer.Option(help="Only for this client's projects.")] = None,
    project: Annotated[str | None, typer.Option(help="Only for this project: name or id.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Until then (UTC); left out: for good.")] = None,
    guarded_until: Annotated[datetime | None, typer.Option(help="Not to be lifted before (UTC).")] = None,
) -> None:
    """Put numbers on the list; their waiting leads leave the lists of all projects it is for."""
    output: Output = context.obj.output

    async def work(office: Office) -> int:
        lines = iter(number) if number else (line.strip() for line in sys.stdin if line.strip())
        added = 0
        reach = {
            "client": client, "project_id": await office.id_of("project", project) if project else None, "expires_at": _utc(until),
            "guarded_until": _utc(guarded_until),
        }  # fmt: skip
        while some := list(islice(lines, _AT_ONCE)):
            added += (await office.do(routes.add_entries, body={"numbers": some, "reason": why, **reach})).added
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
    file: Annotated[Path, typer.Argument(help="One number a line.", exists=True, dir_okay=False)],
    region: Annotated[str | None, typer.Option(help="Country of numbers without one; left out: the setting.")] = None,
) -> None:
    """Put a whole list in the place of the one before, all or nothing. Lines that are no number are counted and left out."""
    output: Output = context.obj.output
    wrong: list[int] = []

    async def numbers(home: str) -> AsyncIterator[str]:
        with file.open(encoding="utf-8") as lines:
            for place, line in enumerate(lines, 1):
                if not (text := line.strip()):
                    continue
                try:
                    yield normalise(text, home).e164
                except BadInput:
                    wrong.append(place)

    async def work(office: Office) -> int:
        at = now()
        async with office.pool.acquire() as conn, conn.transaction():
            home = region or office.settings.region
            loaded = await campaign_do_not_call.load_list(conn, category, numbers(home), source=file.name, now=at)
            entry = audit_trail.Entry(
                at=at, user_id=None, actor=actor(), address=None, action="do_not_call_list_loaded", subject_type="do_not_call", subject_id=category,
                detail={"entries": loaded, "file_name": file.name, "left_out": len(wrong)},
            )  # fmt: skip
            await audit_trail.write(conn, entry)
        return loaded

    loaded = in_office(work)
    left_out = f"; {len(wrong)} lines are no number, the first is line {wrong[0]}" if wrong else ""
    output.done(f"{loaded} numbers in {category}{left_out}", entries=loaded, left_out=len(wrong))


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at else None

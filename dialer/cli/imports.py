"""import: leads from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from campaigns.leads_import import ImportProgress, ImportResult, import_csv
from dialer.cli.office import Office, actor, in_office, now
from dialer.cli.output import Output
from dialer.db import audit_trail


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import", rich_help_panel="Work")(import_leads)


def import_leads(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="A CSV file; the first line names the columns.", exists=True, dir_okay=False, readable=True
        ),
    ],
    number: Annotated[
        str | None, typer.Option(help="Header of the column with the telephone number, when it is not found by itself.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Header of the column with the person's name.")] = None,
    priority: Annotated[str | None, typer.Option(help="Header of the column with the priority.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Directory of the reject file; default: WAIHU_WORK_DIR.", file_okay=False)
    ] = None,
) -> int:
    """Take the good rows of a file into a project; the others come back in a file with reasons. Exit code 1 when no row is good."""
    output: Output = context.obj.output
    columns = {"number": number, "name": name, "priority": priority}

    async def work(office: Office) -> ImportResult:
        project_id = await office.id_of("project", project)
        reject_dir = rejects or office.settings.work_dir
        reject_dir.mkdir(parents=True, exist_ok=True)
        with _bar(shown=not output.as_json) as advance:
            result = await import_csv(
                office.pool,
                project_id=project_id,
                path=file,
                reject_dir=reject_dir,
                file_name=file.name,
                mapping={ours: theirs for ours, theirs in columns.items() if theirs is not None},
                region=office.settings.region,
                progress=advance,
            )
        async with office.pool.acquire() as connection:
            detail = {"accepted": result.accepted, "rejected": result.rejected, "file_name": file.name}
            entry = audit_trail.Entry(
                at=now(),
                user_id=None,
                actor=actor(),
                address=None,
                action="import_done",
                subject_type="import",
                subject_id=str(result.id),
                detail=detail,
            )
            await audit_trail.write(connection, entry)
        return result

    result = in_office(work)
    output.thing(
        {
            "id": result.id,
            "accepted": result.accepted,
            "of these on the do-not-call list": result.do_not_call,
            "rejected": result.rejected,
            "reasons": result.reasons,
            "reject_file": result.reject_path,
            "encoding": result.encoding,
        }
    )
    return 0 if result.accepted or not result.rejected else 1


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[ImportProgress], None]]:
    columns = (
        TextColumn("importing"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[accepted]:,} taken, {task.fields[rejected]:,} rejected"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task("import", total=None, accepted=0, rejected=0)

        def advance(progress: ImportProgress) -> None:
            bar.update(
                task,
                total=progress.bytes_in_all,
                completed=progress.bytes_read,
                accepted=progress.accepted,
                rejected=progress.rejected,
            )

        yield advance

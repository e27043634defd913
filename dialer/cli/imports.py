"""import and export: leads from a file, and to one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from campaigns.importing.mappings import mappings_of
from campaigns.importing.options import MAX_WINDOW_DAYS, Among, ImportOptions
from campaigns.importing.preview import ListPreview, preview_list
from campaigns.importing.run import ImportProgress, ImportResult, client_of, import_file
from campaigns.states import LeadState
from campaigns.tables.encoding import ANSWERS
from dialer.cli.office import Office, actor, in_office, now
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.domain.errors import Conflict
from dialer.web.leads.export import ExportFormat, write_leads


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import", rich_help_panel="Work")(import_leads)
    app.command("export", rich_help_panel="Work")(export_leads)


def import_leads(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="A list: CSV, TSV, xlsx, xls, xlsb or ods; its header names the columns.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    number: Annotated[
        str | None, typer.Option(help="Header of the column with the telephone number, when it is not found by itself.")
    ] = None,
    other_numbers: Annotated[str | None, typer.Option(help="Header of the column with further numbers.")] = None,
    name: Annotated[str | None, typer.Option(help="Header of the column with the person's name.")] = None,
    priority: Annotated[str | None, typer.Option(help="Header of the column with the priority.")] = None,
    carrier: Annotated[
        str | None, typer.Option(help="Header of the column with the carrier, for ported numbers.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help=f"Of a CSV file, when it is asked for: {', '.join(ANSWERS)}.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook with several sheets.")] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="The first line is a row; columns are called column 1, column 2 ...")
    ] = False,
    unique_by: Annotated[str | None, typer.Option(help="Header of a column that tells people apart.")] = None,
    among: Annotated[Among, typer.Option(help="Where nobody of the list may be a lead already.")] = Among.PROJECT,
    within_days: Annotated[
        int | None, typer.Option(help="Only leads of so many days count as there already.", min=1, max=MAX_WINDOW_DAYS)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take a file that was imported before once more.")] = False,
    remember: Annotated[bool, typer.Option("--remember", help="Keep the mapping for the client's next lists.")] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show how the file would be read; take nothing.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="Directory of the reject file; default: WAIHU_WORK_DIR.", file_okay=False)
    ] = None,
) -> int:
    """Take the good rows of a file into a project; the others come back in a file with reasons. Exit code 1 when no row is good."""
    output: Output = context.obj.output
    columns = {"number": number, "other_numbers": other_numbers, "name": name, "priority": priority, "carrier": carrier}
    chosen: dict[str, Any] = {
        "mapping": {ours: theirs for ours, theirs in columns.items() if theirs is not None},
        "encoding": encoding,
        "sheet": sheet,
        "has_header": not no_header,
        "unique_by": unique_by,
        "among": among,
        "within_days": within_days,
        "again": again,
        "remember": remember,
    }
    if preview:
        return _preview(output, project, file, chosen)

    async def work(office: Office) -> ImportResult:
        project_id = await office.id_of("project", project)
        reject_dir = rejects or office.settings.work_dir
        reject_dir.mkdir(parents=True, exist_ok=True)
        with _bar(shown=not output.as_json) as advance:
            result = await import_file(
                office.pool,
                project_id=project_id,
                path=file,
                reject_dir=reject_dir,
                file_name=file.name,
                options=ImportOptions(region=office.settings.region, **chosen),
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
            "format": result.format,
            "encoding": result.encoding,
            "sheet": result.sheet,
        }
    )
    return 0 if result.accepted or not result.rejected else 1


def export_leads(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="Name or id of the project.")],
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.", dir_okay=False)],
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="csv is UTF-8 with its mark, for spreadsheets.")
    ] = ExportFormat.XLSX,
    state: Annotated[LeadState | None, typer.Option(help="Only leads in this state.")] = None,
) -> None:
    """Write a project's leads to a file; numbers are masked where the project masks them."""
    output: Output = context.obj.output
    if file.exists():
        raise Conflict("file_exists", f"{file} is there already: name another file.")

    async def work(office: Office) -> int:
        project_id = await office.id_of("project", project)
        written = await write_leads(office.pool, project_id, file, kind=kind, state=state)
        async with office.pool.acquire() as connection:
            detail = {"format": kind.value, "state": state and state.value, "rows": written, "file_name": file.name}
            entry = audit_trail.Entry(
                at=now(),
                user_id=None,
                actor=actor(),
                address=None,
                action="leads_exported",
                subject_type="project",
                subject_id=str(project_id),
                detail=detail,
            )
            await audit_trail.write(connection, entry)
        return written

    output.done(f"{in_office(work):,} leads written to {file}.")


def _preview(output: Output, project: str, file: Path, chosen: Mapping[str, Any]) -> int:
    async def work(office: Office) -> ListPreview:
        project_id = await office.id_of("project", project)
        saved = await mappings_of(office.pool, await client_of(office.pool, project_id))
        options = ImportOptions(region=office.settings.region, **chosen)
        return await asyncio.to_thread(preview_list, file, options, saved)

    seen = in_office(work)
    if not output.as_json:
        facts = seen.facts
        output.thing(
            {"format": facts.format, "encoding": facts.encoding, "sheet": facts.sheet, "columns": seen.mapping}
        )
    rows = [
        {
            "line": row.line,
            "numbers": list(row.numbers),
            "kinds": list(row.kinds),
            "name": row.name,
            "fields": dict(row.fields),
            "error": row.error_id or "",
            "column": row.column,
        }
        for row in seen.rows
    ]
    output.rows(rows, empty="There is no row below the header.")
    return 0


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

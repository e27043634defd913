"""survey: what an agentless project says and asks, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from campaigns import surveys
from campaigns.projects import load_project
from dialer.cli.office import Office, actor, in_office, now, shown
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.domain.errors import BadRequest, Conflict
from dialer.web.leads.export import ExportFormat
from dialer.web.surveys import routes
from dialer.web.surveys.export import write_answers

app = typer.Typer(no_args_is_help=True, help="What an agentless project says and asks, and what came of it.")
Named = Annotated[str, typer.Argument(help="Name or id of the project.")]
Document = Annotated[Path, typer.Argument(help="A JSON file: start and steps.", exists=True, dir_okay=False)]
Version = Annotated[int | None, typer.Option(help="Which version; default the last.", min=1)]


@app.command()
def check(context: typer.Context, name: Named, file: Document) -> int:
    """Look at a survey and change nothing."""
    output: Output = context.obj.output
    body = _read(file)

    async def work(office: Office) -> list[dict[str, Any]]:
        found = await office.do(routes.check_survey, body=body, project_id=await office.id_of("project", name))
        return [shown(problem) for problem in found.problems]

    problems = in_office(work)
    output.rows(problems, empty="Nothing is wrong with it.")
    return 1 if problems else 0


@app.command("set")
def set_survey(context: typer.Context, name: Named, file: Document) -> None:
    """Play this from the next answered call on."""
    output: Output = context.obj.output
    body = _read(file)

    async def work(office: Office) -> dict[str, Any]:
        project_id = await office.id_of("project", name)
        return shown(await office.do(routes.put_survey, body=body, project_id=project_id))

    output.thing(in_office(work))


@app.command()
def show(context: typer.Context, name: Named, version: Version = None) -> None:
    """A version of a project's survey."""
    output: Output = context.obj.output

    async def work(office: Office) -> dict[str, Any]:
        project_id = await office.id_of("project", name)
        found = await office.do(routes.get_survey, query={"version": version}, project_id=project_id)
        document = found.survey.model_dump(mode="json", exclude_defaults=True)
        return {"version": found.version, "created_at": found.created_at, **document}

    output.thing(in_office(work))


@app.command()
def results(context: typer.Context, name: Named, version: Version = None) -> None:
    """What came of a version: outcomes, and each step's answers."""
    output: Output = context.obj.output

    async def work(office: Office) -> dict[str, Any]:
        project_id = await office.id_of("project", name)
        return shown(await office.do(routes.get_results, query={"version": version}, project_id=project_id))

    found = in_office(work)
    output.thing(found if output.as_json else {"version": found["version"], **found["outcomes"], **found["answers"]})


@app.command()
def export(
    context: typer.Context,
    name: Named,
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.", dir_okay=False)],
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="csv is UTF-8 with its mark, for spreadsheets.")
    ] = ExportFormat.CSV,
    version: Version = None,
) -> None:
    """Write the answers to a file, a row for each answered call; numbers are masked where the project masks them."""
    output: Output = context.obj.output
    if file.exists():
        raise Conflict("file_exists", f"{file} is there already: name another file.")

    async def work(office: Office) -> int:
        project = await load_project(office.pool, await office.id_of("project", name))
        kept = await surveys.load(office.pool, project.id, version)
        written = await write_answers(office.pool, project, kept, file, kind=kind)
        async with office.pool.acquire() as connection:
            entry = audit_trail.Entry(
                at=now(),
                user_id=None,
                actor=actor(),
                address=None,
                action="survey_answers_exported",
                subject_type="project",
                subject_id=str(project.id),
                detail={"version": kept.version, "format": kind.value, "rows": written, "file_name": file.name},
            )
            await audit_trail.write(connection, entry)
        return written

    output.done(f"{in_office(work):,} calls written to {file}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadRequest("survey_malformed", f"{file} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadRequest("survey_malformed", f"{file} holds no survey: begin with start and steps.")
    return document

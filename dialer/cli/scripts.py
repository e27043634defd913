"""scripts: what agents say and ask, in versions; which project uses which; what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from campaigns.projects import load_project
from campaigns.scripts import versions
from dialer.cli.office import Office, actor, in_office, now, shown
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.domain.errors import BadRequest, Conflict, NotFound
from dialer.web.leads.export import ExportFormat
from dialer.web.scripts import projects, routes
from dialer.web.scripts.export import write_answers

app = typer.Typer(no_args_is_help=True, help="What agents say and ask, in versions.")
File = Annotated[Path, typer.Argument(help="A JSON file (docs/scripts.md).", exists=True, dir_okay=False)]
Named = Annotated[str, typer.Argument(help="Name or id of the script.")]
Project = Annotated[str, typer.Argument(help="Name or id of the project.")]
Version = Annotated[int | None, typer.Option(help="Which version; default the last published one.", min=1)]


@app.command()
def check(context: typer.Context, file: File) -> int:
    """Look at a script and change nothing."""
    output: Output = context.obj.output
    body = _read(file)
    found = [shown(one) for one in in_office(lambda office: office.do(routes.check_script, body=body)).findings]
    output.rows(found, empty="Nothing is wrong with it.")
    return 1 if any(not one["remark"] for one in found) else 0


@app.command("list")
def list_scripts(context: typer.Context) -> None:
    """Scripts with their last published version and their draft."""
    output: Output = context.obj.output
    rows = in_office(lambda office: office.all(routes.list_scripts))
    output.rows([shown(row, "id", "name", "published", "draft") for row in rows], empty="There is no script yet.")


@app.command()
def load(context: typer.Context, name: Named, file: File) -> int:
    """Make a file the draft of a script, which is begun when there is none of this name. Says what keeps it from being published."""
    output: Output = context.obj.output
    body = _read(file)

    async def work(office: Office) -> Any:
        try:
            script_id = await office.id_of("script", name)
        except NotFound:
            script_id = (await office.do(routes.create_script, body={"name": name})).id
        return await office.do(routes.put_draft, body=body, script_id=script_id)

    saved = shown(in_office(work))
    if output.as_json:
        output.thing(saved)
    else:
        output.rows(saved["findings"], empty=f"Version {saved['version']} is drafted; nothing is wrong with it.")
    return 1 if any(not one["remark"] for one in saved["findings"]) else 0


@app.command()
def publish(context: typer.Context, name: Named) -> None:
    """Publish the draft for good."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(routes.publish, script_id=await office.id_of("script", name))

    version = in_office(work).version
    output.done(f"Version {version} is published.", version=version)


@app.command()
def show(context: typer.Context, name: Named, version: Version = None) -> None:
    """A version as it was written, as JSON: the same file that `load` reads."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        script_id, wanted = await _version(office, name, version)
        return await office.do(routes.get_version, script_id=script_id, version=wanted)

    document = in_office(work).document
    Output(as_json=True, console=output.console).thing(document)


@app.command()
def compare(
    context: typer.Context,
    name: Named,
    before: Annotated[int, typer.Argument(help="A version.", min=1)],
    after: Annotated[int, typer.Argument(help="Another.", min=1)],
) -> None:
    """What is different between two versions."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        script_id = await office.id_of("script", name)
        return await office.do(routes.compare, script_id=script_id, query={"before": before, "after": after})

    output.rows([shown(one) for one in in_office(work).differences], empty="They are the same.")


@app.command()
def assign(
    context: typer.Context,
    project: Project,
    name: Named,
    version: Version = None,
    trial: Annotated[str | None, typer.Option(help="Script on trial; default the same one.")] = None,
    trial_version: Annotated[int | None, typer.Option(help="Its version on trial.", min=1)] = None,
    percent: Annotated[int | None, typer.Option(help="Share of the calls that get it.", min=1, max=99)] = None,
) -> None:
    """Use a published version from the next call on; with --percent another one for a share of the calls."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        script_id, wanted = await _version(office, name, version)
        body: dict[str, Any] = {"script_id": script_id, "version": wanted}
        if percent is not None:
            tried, tried_version = await _version(office, trial or name, trial_version)
            body["trial"] = {"script_id": tried, "version": tried_version, "percent": percent}
        elif trial is not None or trial_version is not None:
            raise BadRequest("script_trial_invalid", "Say with --percent which share of the calls the trial gets.")
        return await office.do(projects.assign, body=body, project_id=await office.id_of("project", project))

    output.thing(_assignment(shown(in_office(work))))


@app.command()
def unassign(context: typer.Context, project: Project) -> None:
    """Use no script from the next call on."""
    output: Output = context.obj.output

    async def work(office: Office) -> None:
        await office.do(projects.unassign, project_id=await office.id_of("project", project))

    in_office(work)
    output.done("The project uses no script.")


@app.command()
def results(
    context: typer.Context,
    project: Project,
    assignment: Annotated[int | None, typer.Option(help="An earlier one by its id; default the last.", min=1)] = None,
) -> None:
    """What came of a script, and of the one on trial beside it."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        query = {"assignment": assignment}
        return await office.do(projects.get_results, query=query, project_id=await office.id_of("project", project))

    found = shown(in_office(work))
    if output.as_json:
        output.thing(found)
    else:
        output.rows(_table(found), empty="")


@app.command()
def export(
    context: typer.Context,
    project: Project,
    file: Annotated[Path, typer.Argument(help="The file to write; it must not be there yet.", dir_okay=False)],
    script: Annotated[str | None, typer.Option(help="Name or id; default the one in use.")] = None,
    version: Version = None,
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="csv is UTF-8 with its mark, for spreadsheets.")
    ] = ExportFormat.CSV,
    codes: Annotated[bool, typer.Option("--codes", help="Codes in place of labels.")] = False,
) -> None:
    """Write the answers to a file, a row for each call; numbers are masked where the project masks them."""
    output: Output = context.obj.output
    if file.exists():
        raise Conflict("file_exists", f"{file} is there already: name another file.")

    async def work(office: Office) -> int:
        found = await load_project(office.pool, await office.id_of("project", project))
        named = None if script is None else await office.id_of("script", script)
        wanted = await projects.version_wanted(office.pool, found.id, named, version)
        ready = await versions.ready(office.pool, *wanted)
        written = await write_answers(office.pool, found, wanted, ready, file, kind=kind, codes=codes)
        async with office.pool.acquire() as connection:
            detail = {"script": str(wanted[0]), "version": wanted[1], "format": kind.value, "rows": written, "file_name": file.name}  # fmt: skip
            await audit_trail.write(connection, audit_trail.Entry(
                at=now(), user_id=None, actor=actor(), address=None, action="script_answers_exported", subject_type="project",
                subject_id=str(found.id), detail=detail,
            ))  # fmt: skip
        return written

    output.done(f"{in_office(work):,} calls written to {file}.")


async def _version(office: Office, name: str, version: int | None) -> tuple[UUID, int]:
    script_id = await office.id_of("script", name)
    return await projects.version_wanted(office.pool, script_id, script_id, version)


def _assignment(one: dict[str, Any]) -> dict[str, Any]:
    def said(used: dict[str, Any] | None) -> str | None:
        return None if used is None else f"{used['name']} {used['version']}"

    return {"id": one["id"], "used": said(one["used"]), "trial": said(one["trial"]), "trial_percent": one["trial_percent"], "began_at": one["began_at"], "ended_at": one["ended_at"]}  # fmt: skip


def _table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each share: the version in use, the one on trial, the difference with its interval."""
    used, trial = found["used"], found["trial"]
    shares = [(name, name, None) for name in ("answered", "connected", "complete", "converted")]
    rows = []
    for label, name, code in [
        *shares,
        *((f"disposition.{code}", "dispositions", code) for code in used["dispositions"]),
    ]:
        here, there = (None if arm is None else arm[name] if code is None else arm[name][code] for arm in (used, trial))
        difference = found["differences"].get(label)
        rows.append({
            "share": label, "in_use": _share(here), "on_trial": _share(there),
            "difference": "" if difference is None else f"{difference['low']} to {difference['high']}{' *' if difference['certain'] else ''}",
        })  # fmt: skip
    return rows


def _share(share: dict[str, Any] | None) -> str:
    return "" if share is None else f"{share['count']} of {share['total']} ({share['low']} to {share['high']})"


def _read(file: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadRequest("script_no_json", f"{file} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadRequest("script_no_json", f"{file} holds no script: begin with title.")
    return document

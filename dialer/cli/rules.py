"""rules: calling rules as data. Which packs there are, what they say, and which hold for a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from campaigns.rules.loading import read_pack
from dialer.cli.office import Office, in_office
from dialer.cli.output import Output
from dialer.domain.errors import BadRequest, NotFound
from dialer.web.rules import routes
from dialer.web.why import gates

app = typer.Typer(no_args_is_help=True, help="Calling rules: packs of cited lines; all that a project chose must pass.")
File = Annotated[Path, typer.Argument(help="A rule pack, a TOML file.", exists=True, dir_okay=False)]
Named = Annotated[str, typer.Argument(help="A pack, as pack@version; without a version the newest.")]
Project = Annotated[str, typer.Argument(help="Name or id of the project.")]


@app.command("list")
def list_packs(context: typer.Context) -> None:
    """The packs that can be chosen."""
    output: Output = context.obj.output
    packs = in_office(lambda office: office.do(routes.list_packs)).packs
    output.rows([
        {"pack": f"{one.pack}@{one.version}", "jurisdiction": one.jurisdiction, "title": one.title_en, "lines": len(one.rules),
         "shipped": one.shipped}
        for one in packs
    ], empty="There is no pack.")  # fmt: skip


@app.command()
def show(context: typer.Context, pack: Named) -> None:
    """What a pack says, line by line, with who says so. A lawyer must confirm it."""
    output: Output = context.obj.output
    found = in_office(lambda office: _find(office, pack))
    if output.as_json:
        output.thing(found.model_dump(mode="json"))
        return
    output.thing({"pack": f"{found.pack}@{found.version}", "title": found.title_en, "remark": found.remark_en})
    output.rows([
        {"rule": line.id, "kind": line.kind, "says": line.says_en, "standing": line.standing, "source": line.source}
        for line in found.rules
    ], empty="This pack has no line.")  # fmt: skip


@app.command()
def check(context: typer.Context, file: File) -> None:
    """Read a pack and hold every line against its own tests. Needs no database."""
    output: Output = context.obj.output
    pack = read_pack(_text(file))
    output.done(f"{pack.pack}@{pack.version}: {len(pack.rule)} lines, all true to their tests", lines=len(pack.rule))


@app.command()
def add(context: typer.Context, file: File) -> None:
    """Keep a pack of your own. A version never changes: a correction is a new version."""
    output: Output = context.obj.output
    document = _text(file)
    pack = in_office(lambda office: office.do(routes.add_pack, body={"document": document}))
    output.done(f"{pack.pack}@{pack.version} can be chosen", pack=pack.pack, version=pack.version)


@app.command()
def use(
    context: typer.Context,
    project: Project,
    pack: Annotated[list[str] | None, typer.Argument(help="Packs, as pack@version; none: no pack holds.")] = None,
) -> None:
    """Say which packs hold for a project: these and no others."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", project)
        return await office.do(routes.put_chosen, project_id=project_id, body={"packs": await _wanted(office, pack)})

    chosen = [f"{one.pack}@{one.version}" for one in in_office(work).packs]
    output.done(f"in force: {', '.join(chosen) or 'no pack'}", packs=chosen)


@app.command()
def of(context: typer.Context, project: Project) -> None:
    """Which packs hold for a project."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(routes.get_chosen, project_id=await office.id_of("project", project))

    output.rows([one.model_dump() for one in in_office(work).packs], empty="No pack holds for this project.")


@app.command("dry-run")
def dry_run(
    context: typer.Context,
    project: Project,
    pack: Annotated[list[str] | None, typer.Argument(help="Packs, as pack@version; none: no pack.")] = None,
) -> None:
    """What would change if these packs, and no others, were in force. Nothing is changed; every lead of the project is read."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", project)
        return await office.do(gates.try_packs, project_id=project_id, body={"packs": await _wanted(office, pack)})

    told = in_office(work)
    if output.as_json:
        output.thing(told.model_dump(mode="json"))
        return
    output.thing({
        "the whole project": told.shut or "stays open", "newly refused": told.newly_refused, "newly allowed": told.newly_allowed,
    })  # fmt: skip
    output.rows(
        [one.model_dump() for one in told.changes], empty="No lead would be held back by another reason than now."
    )


async def _wanted(office: Office, names: list[str] | None) -> list[dict[str, Any]]:
    found = [await _find(office, name) for name in names or []]
    return [{"pack": one.pack, "version": one.version} for one in found]


async def _find(office: Office, name: str) -> Any:
    pack, _, version = name.partition("@")
    packs = [one for one in (await office.do(routes.list_packs)).packs if one.pack == pack]
    if version:
        packs = [one for one in packs if one.version == version]
    if not packs:
        raise NotFound("rule_pack_unknown", f"There is no rule pack {name}. See: waihu rules list")
    return packs[-1]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest("rule_pack_malformed", f"{file} cannot be read as UTF-8 text: {error}.") from None

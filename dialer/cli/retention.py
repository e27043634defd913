"""retention: how long recordings are kept, what stands above it, what would go and what goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from dialer.cli.office import Office, in_office, shown, uuid_of
from dialer.cli.output import Output, files_stay
from dialer.domain.errors import BadRequest
from dialer.web.retention import routes

app = typer.Typer(no_args_is_help=True, help="How long recordings are kept: docs/retention.md.")
Project = Annotated[str, typer.Argument(help="Name or id of the project.")]
CallOption = Annotated[str | None, typer.Option("--call", help="Only this call (its id).")]
Day = Annotated[str | None, typer.Option(help="The day asked about, 2026-12-31; default: today.")]


@app.command()
def policies(context: typer.Context) -> None:
    """Every version of every policy."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_policies))
    output.rows([shown(one) for one in found], empty="There is no retention policy: nothing is deleted.")


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the policy: a-z, 0-9 and -.")],
    file: Annotated[Path, typer.Argument(help="JSON: minima, maximum, delete, copies.", exists=True, dir_okay=False)],
) -> None:
    """Add a version of a policy; its projects follow it at once."""
    output: Output = context.obj.output
    try:
        body = orjson.loads(file.read_bytes())
        given = {**body, "name": name}
    except (orjson.JSONDecodeError, TypeError) as error:
        raise BadRequest("policy_file_invalid", f"{file} is no JSON object: {error}") from None
    output.thing(shown(in_office(lambda office: office.do(routes.add_policy, body=given))))


@app.command()
def use(
    context: typer.Context, project: Project, policy: Annotated[str, typer.Argument(help="Name of the policy.")]
) -> None:
    """Let a project follow a policy, always in its newest version."""
    _on_project(context, project, routes.use_policy, {"policy": policy}, f"{project} follows {policy}")


@app.command("date")
def set_date(
    context: typer.Context,
    project: Project,
    basis: Annotated[str, typer.Argument(help="contract_end, product_end or dispute_end")],
    day: Annotated[str, typer.Argument(help="2026-12-31")],
    call: CallOption = None,
) -> None:
    """State when a contract, a product or a dispute ended."""
    body = {"basis": basis, "day": day, "call_id": call}
    _on_project(context, project, routes.set_date, body, f"{basis} is {day}")


def _on_project(context: typer.Context, project: str, operation: Any, body: dict[str, Any], said: str) -> None:
    async def work(office: Office) -> None:
        await office.do(operation, body=body, project_id=await office.id_of("project", project))

    in_office(work)
    context.obj.output.done(said)


@app.command()
def holds(context: typer.Context) -> None:
    """Legal holds, the lifted ones too."""
    output: Output = context.obj.output
    found = in_office(lambda office: office.do(routes.list_holds))
    output.rows([shown(one) for one in found], empty="There is no legal hold.")


@app.command()
def hold(
    context: typer.Context,
    project: Project,
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept.")],
    call: CallOption = None,
) -> None:
    """Let nothing of a project, or of one call, be removed until the hold is lifted."""

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", project)
        return await office.do(routes.place_hold, body={"project_id": project_id, "call_id": call, "reason": why})

    context.obj.output.thing(shown(in_office(work), "id", "project_id", "call_id", "reason"))


@app.command()
def lift(
    context: typer.Context,
    hold_id: Annotated[str, typer.Argument(help="Id of the hold.")],
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept.")],
) -> None:
    """Lift a legal hold."""
    found = uuid_of(hold_id, "a hold")
    in_office(lambda office: office.do(routes.lift_hold, body={"reason": why}, hold_id=found))
    context.obj.output.done("lifted")


@app.command()
def preview(context: typer.Context, project: Project, day: Day = None) -> None:
    """What would be deleted on a day, and why; why the rest stays. Changes nothing."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        return await office.do(routes.preview, query={"day": day}, project_id=await office.id_of("project", project))

    found = in_office(work)
    if output.as_json:
        output.thing(shown(found))
        return
    output.thing({"day": found.day, "bytes going": found.bytes_going, **found.recordings})
    output.rows([shown(one) for one in found.going], empty="Nothing would go.")


@app.command()
def expire(context: typer.Context, project: Project) -> int:
    """Delete what is over today. Each deletion leaves a row with its reason: see `waihu retention proof`. Exit code 1 when files could not be removed."""

    async def work(office: Office) -> tuple[int, int, int]:
        project_id = await office.id_of("project", project)
        recordings = gone = 0
        while True:
            done = await office.do(routes.expire, body={}, project_id=project_id)
            recordings, gone = recordings + done.recordings, gone + done.bytes
            if not done.more or not done.recordings:
                return recordings, gone, done.stuck

    recordings, gone, stuck = in_office(work)
    context.obj.output.done(
        f"{recordings} recordings deleted, {gone} bytes{files_stay(stuck)}", recordings=recordings, bytes=gone, stuck=stuck
    )  # fmt: skip
    return 1 if stuck else 0


@app.command("destroy-keys")
def destroy_keys(
    context: typer.Context,
    project: Project,
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept.")],
) -> None:
    """Destroy the keys of a project whose recordings are all over: no copy of them opens any more, on whatever disc it lies."""

    async def work(office: Office) -> Any:
        project_id = await office.id_of("project", project)
        return await office.do(routes.destroy_keys, body={"reason": why}, project_id=project_id)

    context.obj.output.thing(shown(in_office(work)))


@app.command()
def proof(context: typer.Context, call: Annotated[str, typer.Argument(help="Id of the call.")]) -> None:
    """When and why a call's file left the store."""
    output: Output = context.obj.output
    call_id = uuid_of(call, "a call")
    found = in_office(lambda office: office.do(routes.list_removals, call_id=call_id))
    output.rows([shown(one) for one in found], empty="No file of this call has left the store.")

"""recordings: what is kept of conversations."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dialer.cli import recording_bundle, recording_whose
from dialer.cli.office import Office, actor, in_office, now, shown, uuid_of
from dialer.cli.output import Output
from dialer.db import audit_trail
from dialer.domain.errors import BadRequest, NotFound
from dialer.web.recordings import routes
from recorder import chaining, ledger, verifying
from recorder.chain import Head
from recorder.chaining import Checked

app = typer.Typer(no_args_is_help=True, help="What is kept of conversations.")
_COLUMNS = ("id", "call_id", "number", "state", "reason", "duration_ms", "bytes", "started_at", "verified_at")
_HASH_BYTES = 32
_ENTRIES = "select coalesce(max(position), 0) from recording_events"


app.command("bundle")(recording_bundle.bundle)
app.command("whose")(recording_whose.whose)


@app.command("list")
def list_recordings(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Name or id of the project.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, stored, missing or poisoned")] = None,
    number: Annotated[str | None, typer.Option(help="The whole number.")] = None,
    disposition: Annotated[str | None, typer.Option(help="Result of the call.")] = None,
    tag: Annotated[str | None, typer.Option(help="A tag.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of the agent's note, two characters at least.")] = None,
    limit: Annotated[int, typer.Option(help="Most recordings shown.", min=1)] = 50,
) -> None:
    """Newest first; numbers are masked where the project masks them. Listening is the API's, because it is audited."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Any]:
        return await office.all(
            routes.list_recordings,
            query={
                "project_id": await office.id_of("project", project) if project else None,
                "state": state,
                "number": number,
                "disposition": disposition,
                "tag": tag,
                "text": text,
            },
            limit=limit,
        )

    output.rows([shown(recording, *_COLUMNS) for recording in in_office(work)], empty="There is no such recording.")


@app.command()
def show(context: typer.Context, recording_id: Annotated[str, typer.Argument(help="Id of the recording.")]) -> None:
    """What is known of a recording, and where it was paused."""
    output: Output = context.obj.output
    wanted = uuid_of(recording_id, "a recording")

    async def work(office: Office) -> Any:
        return await office.do(routes.get_recording, recording_id=wanted)

    found = shown(in_office(work))
    if not output.as_json:
        found["pauses"] = "; ".join(_pause(one) for one in found["pauses"])
    output.thing(found)


def _pause(one: dict[str, Any]) -> str:
    until = "its end" if one["to_ms"] is None else f"{one['to_ms'] / 1000:.1f} s"
    return f"{one['from_ms'] / 1000:.1f} s to {until}: {one['reason']} {one['note']}".strip()


@app.command()
def verify(
    context: typer.Context, project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None
) -> int:
    """Read every stored file again and compare its hash with the ledger. Exit code 1 when one is gone or changed."""
    output: Output = context.obj.output

    async def work(office: Office) -> tuple[int, list[dict[str, Any]]]:
        project_id = await office.id_of("project", project) if project else None
        total = await verifying.files_to_verify(office.pool, project_id)
        columns = (TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=output.as_json) as bar:
            task = bar.add_task("verify", total=total)
            faults = [
                {"recording": one.recording_id, "call": one.attempt_id, "problem": one.problem}
                async for one in verifying.damaged_files(
                    office.pool, office.settings.store_dir, project_id, on_file=lambda: bar.advance(task)
                )
            ]
            checked = int(bar.tasks[task].completed)
        return checked, faults

    checked, faults = in_office(work)
    output.rows(faults, empty=f"all {checked} recordings are as they were stored")
    return 1 if faults else 0


@app.command("verify-ledger")
def verify_ledger(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option(help="A head that was kept elsewhere, <position>:<hash>: the chain must still hold it."),
    ] = None,
) -> int:
    """Follow the hash chain of the ledger, its signed heads, and every row. Exit code 1 when something was changed, taken out or put in."""
    output: Output = context.obj.output

    async def work(office: Office) -> Checked:
        kept = _kept_head(head) if head else None
        async with office.pool.acquire() as connection:
            columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=Console(stderr=True), transient=True, disable=output.as_json) as bar:
                task = bar.add_task("check", total=await connection.fetchval(_ENTRIES))
                ring = await office.deps.file_keys.ring() if await chaining.heads(connection, limit=1) else None
                return await chaining.check(
                    connection, ring, kept=kept, on_entries=lambda count: bar.advance(task, count)
                )

    found = in_office(work)
    output.thing({name: getattr(found, name) for name in found.__slots__} | {"sound": found.sound})
    return 0 if found.sound else 1


@app.command("head")
def newest_head(context: typer.Context) -> None:
    """The newest signed head of the ledger, to be kept elsewhere: on paper, with the client, on every disc."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Head]:
        async with office.pool.acquire() as connection:
            return await chaining.heads(connection, limit=1)

    newest = in_office(work)
    if not newest:
        raise NotFound(
            "ledger_not_signed", "No head of the ledger was signed yet: is the recorder running, with its keys?"
        )
    [one] = newest
    output.thing({
        "head": f"{one.position}:{one.hash.hex()}", "at": one.at.isoformat(), "master_key": one.master, "public_key": one.public_key.hex(),
        "signature": one.signature.hex(),
    })  # fmt: skip


def _kept_head(text: str) -> Head:
    position, colon, digest = text.partition(":")
    try:
        kept = Head(
            position=int(position), hash=bytes.fromhex(digest), at=now(), master="", public_key=b"", signature=b""
        )
    except ValueError:
        kept = None
    if kept is None or not colon or len(kept.hash) != _HASH_BYTES:
        raise BadRequest(
            "head_malformed", "A head looks like 1234:0a1b...: the position, a colon, 64 hexadecimal digits."
        )
    return kept


@app.command("rotate-keys")
def rotate_keys(
    context: typer.Context,
    rewrap_only: Annotated[
        bool,
        typer.Option(
            "--rewrap-only", help="The new master key is there already, for example because a command prints it."
        ),
    ] = False,
) -> None:
    """Add a master key, wrap every project's key under it, and give each project a new key for what comes. No recording is touched."""
    output: Output = context.obj.output

    async def work(office: Office) -> tuple[str, int]:
        keys = office.deps.file_keys
        async with office.pool.acquire() as connection, connection.transaction():
            if rewrap_only:
                name, count = (await keys.ring()).current, await keys.rewrap(connection, at=now())
            else:
                name, count = await keys.rotate(connection, at=now())
            await office.deps.archive_keys.rewrap()
            await audit_trail.write(connection, audit_trail.Entry(
                at=now(), user_id=None, actor=actor(), address=None, action="recording_keys_rotated", subject_type="master_key",
                subject_id=name, detail={"project_keys": count},
            ))  # fmt: skip
        return name, count

    name, count = in_office(work)
    output.done(
        f"{count} project keys are wrapped under the master key {name}: copy the key file to where its copies are kept",
        master_key=name,
        project_keys=count,
    )


@app.command()
def retry(context: typer.Context, call_id: Annotated[str, typer.Argument(help="Id of the call.")]) -> None:
    """Give a poisoned recording another try: its legs go back into the spool of this machine."""
    output: Output = context.obj.output
    attempt_id = uuid_of(call_id, "a call")

    async def work(office: Office) -> bool:
        async with office.pool.acquire() as connection:
            return await ledger.retry_poisoned(connection, attempt_id, office.settings.spool_dir)

    if not in_office(work):
        raise NotFound(
            "recording_not_poisoned",
            "There is no poisoned recording of this call: see waihu recordings list --state poisoned.",
        )
    output.done("its legs are in the spool again")
